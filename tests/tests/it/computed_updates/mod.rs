//! Updates with computed values: moved times, arithmetic, other columns.

mod document;

use mcp_pg_core::Engine;
use mcp_pg_core::policy::{Action, Grant, Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'fine');
CREATE DOMAIN labels AS text[];
CREATE TABLE maker (id integer PRIMARY KEY, rate numeric, parent_id integer REFERENCES maker);
CREATE TABLE thing (
  id integer PRIMARY KEY, maker_id integer REFERENCES maker, price numeric(10,2), stock integer, ratio real, paid money,
  due date, at timestamptz, told timestamp, hour time, lasts interval, tags text[], labels labels, counts integer[], moods mood[],
  grid integer[], docs jsonb[], meta jsonb, plain json, name text);
INSERT INTO maker VALUES (1, 1.5, NULL), (2, 2, 1);
INSERT INTO thing VALUES
  (1, 2, 9.99, 7, 0.5, '2.00', '2024-01-31', '2024-01-31 10:00+00', '2024-01-31 10:00', '23:30', '1 day', '{a,b,a,NULL}', '{x,y}',
   '{1,2,1}', '{sad,fine}', '{{1,2},{1,1}}', ARRAY['1', '{}']::jsonb[], '{"a": 1, "limits": {"users": 5, "own": null}, "list": [1, {"k": 1}]}', '{}', 'n'),
  (2, NULL, 5, 3, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 1, 1, 1, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '"text"', NULL, NULL);"#;

async fn changed(engine: &Engine, id: i32, updates: Value) -> Value {
    let arguments = json!({"table": "thing", "where": {"id": id}, "updates": updates});
    let reply = call(engine, "operator", "update", arguments.clone()).await;
    rows(&reply.unwrap_or_else(|error| panic!("{arguments}: {error}")))[0].clone()
}

#[tokio::test]
async fn times_move() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let row = changed(
        &engine,
        1,
        json!({"due": {"$increment": "1 month"}, "at": {"$increment": "-1 day -2 hours"}, "told": {"$increment": "1 year"},
               "hour": {"$increment": "45 minutes"}, "lasts": {"$increment": "02:00:00"}}),
    )
    .await;
    let told = json!([
        "2024-02-29",
        "2024-01-30T08:00:00Z",
        "2025-01-31T10:00:00",
        "00:15:00",
        "1 day 02:00:00"
    ]);
    let found: Vec<&Value> =
        ["due", "at", "told", "hour", "lasts"].into_iter().map(|name| &row[name]).collect();
    assert_eq!(json!(found), told);
    let arguments = json!({"table": "thing", "where": {}, "updates": [{"id": 1, "due": {"$increment": "1 day"}}, {"id": 2, "due": {"$increment": "2 days"}}]});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(
        (&rows(&reply)[0]["due"], &rows(&reply)[1]["due"]),
        (&json!("2024-03-01"), &Value::Null)
    );
    let null =
        json!({"table": "thing", "where": {"id": 2}, "updates": {"at": {"$increment": "1 day"}}});
    let null = call(&engine, "operator", "update", null).await.unwrap();
    assert!(null["notes"][0].as_str().unwrap().contains("at was null"), "{null}");
    for (updates, at) in [
        (json!({"due": {"$increment": 7}}), "/updates/due/$increment"),
        (json!({"due": {"$increment": "7"}}), "/updates/due/$increment"),
        (json!({"due": {"$increment": "12 hours"}}), "/updates/due/$increment"),
        (json!({"hour": {"$increment": "1 day"}}), "/updates/hour/$increment"),
        (json!({"at": {"$increment": "9999 years"}}), "/updates/at/$increment"),
        (json!({"at": {"$increment": null}}), "/updates/at/$increment"),
        (json!({"lasts": {"$increment": "x"}}), "/updates/lasts/$increment"),
        (json!({"name": {"$increment": "1 day"}}), "/updates/name/$increment"),
        (json!({"due": "due + 7"}), "/updates/due"),
    ] {
        let arguments = json!({"table": "thing", "where": {"id": 1}, "updates": updates});
        assert_eq!(
            refused(&engine, "update", arguments).await,
            ("invalid_value".into(), at.into()),
            "{updates}"
        );
    }
}

#[tokio::test]
async fn numbers_are_computed() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let row = changed(
        &engine,
        1,
        json!({"price": {"$compute": {"multiply": ["price", 1.1]}}, "stock": {"$compute": {"divide": ["stock", 2]}},
               "ratio": {"$compute": {"add": ["ratio", 0.1]}}, "paid": {"$compute": {"multiply": ["paid", {"add": [1, 0.5]}]}}}),
    )
    .await;
    assert_eq!(
        (&row["price"], &row["stock"], &row["ratio"], &row["paid"]),
        (&json!(10.99), &json!(4), &json!(0.6), &json!("$3.00"))
    );
    // Of related rows, one and two steps away, and of each row its own.
    let row = changed(
        &engine,
        1,
        json!({"price": {"$compute": {"multiply": ["maker.rate", "maker.parent.rate"]}}}),
    )
    .await;
    assert_eq!(row["price"], 3);
    let arguments = json!({"table": "thing", "where": {}, "returning": ["price"], "updates": [
        {"id": 1, "price": {"$compute": {"add": ["price", 1]}}}, {"id": 3, "price": {"$compute": {"add": ["price", 5]}}},
        {"id": 2, "price": {"$compute": {"add": ["price", 1]}}}]});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(rows(&reply), [json!({"price": 4}), json!({"price": 6}), json!({"price": 6})]);
    call(
        &engine,
        "operator",
        "update",
        json!({"table": "thing", "where": {"id": 2}, "updates": {"ratio": "NaN"}}),
    )
    .await
    .unwrap();
    let not_whole = json!({"table": "thing", "where": {"id": 2}, "updates": {"stock": {"$compute": {"multiply": ["ratio", 1]}}}});
    let told = error(&engine, "operator", "update", not_whole).await;
    assert_eq!(
        (&told["code"], &told["message"]),
        (&json!("invalid_value"), &json!("cannot convert NaN to integer"))
    );
    for (updates, code, at) in [
        (json!({"name": {"$compute": {"add": ["price", 1]}}}), "invalid_value", "/name/$compute"),
        (json!({"due": {"$compute": {"add": ["due", 1]}}}), "invalid_value", "/due/$compute/add/0"),
        (json!({"price": {"$compute": "price * 2"}}), "invalid_value", "/price/$compute"),
        (
            json!({"price": {"$compute": {"multiply": ["no", 2]}}}),
            "unknown_column",
            "/price/$compute/multiply/0",
        ),
        (
            json!({"price": {"$compute": {"power": ["price", 2]}}}),
            "unknown_operator",
            "/price/$compute/power",
        ),
        (json!({"price": {"$compute": {"multiply": [2, 2]}}}), "invalid_value", "/price/$compute"),
        (
            json!({"stock": {"$compute": {"multiply": ["stock", 9_999_999_999_u64]}}}),
            "invalid_value",
            "/stock/$compute/multiply/1",
        ),
    ] {
        let arguments = json!({"table": "thing", "where": {"id": 1}, "updates": updates});
        let found = refused(&engine, "update", arguments).await;
        assert_eq!(found, (code.into(), format!("/updates{at}")), "{updates}");
    }
    let told = error(&engine, "operator", "update", json!({"table": "thing", "where": {"id": 1}, "updates": {"price": {"multiply": ["price", 1.1]}}})).await;
    assert_eq!(told["hint"], r#"{"$compute": {"multiply":["price",1.1]}}"#);
}

#[tokio::test]
async fn columns_are_copied() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let row = changed(
        &engine,
        1,
        json!({"due": {"$column": "at"}, "told": {"$column": "due"}, "price": {"$column": "maker.rate"}, "stock": {"$column": "price"},
               "name": {"$column": "name"}, "plain": {"$column": "meta"}, "tags": {"$column": "labels"}, "docs": {"$column": "docs"},
               "meta": {"$column": {"column": "meta", "path": ["limits"]}}}),
    )
    .await;
    let found: Vec<&Value> =
        ["due", "told", "price", "stock", "tags"].map(|name| &row[name]).into();
    assert_eq!(json!(found), json!(["2024-01-31", "2024-01-31T00:00:00", 2, 10, ["x", "y"]]));
    assert_eq!((&row["plain"]["a"], &row["meta"]), (&json!(1), &json!({"users": 5, "own": null})));
    for (updates, code, at) in [
        (json!({"name": {"$column": "price"}}), "invalid_value", "/name/$column"),
        (json!({"due": {"$column": "hour"}}), "invalid_value", "/due/$column"),
        (
            json!({"stock": {"$column": {"column": "meta", "path": ["a"]}}}),
            "invalid_value",
            "/stock/$column",
        ),
        (json!({"stock": {"$column": {"add": ["stock", 1]}}}), "invalid_value", "/stock/$column"),
        (json!({"stock": {"$column": "no"}}), "unknown_column", "/stock/$column"),
        (json!({"stock": {"$column": 7}}), "invalid_value", "/stock/$column"),
    ] {
        let arguments = json!({"table": "thing", "where": {"id": 1}, "updates": updates});
        let found = refused(&engine, "update", arguments).await;
        assert_eq!(found, (code.into(), format!("/updates{at}")), "{updates}");
    }
    let new = json!({"table": "thing", "data": {"id": 9, "stock": {"$column": "id"}}});
    let found = refused(&engine, "insert", new).await;
    assert_eq!(found, ("invalid_value".into(), "/data/stock/$column".into()));
}

#[tokio::test]
async fn values_of_several_parts_are_written_whole() {
    let database = Database::of(
        "CREATE TYPE place AS (street text, zip text);
         CREATE TYPE spot AS (name text, place place);
         CREATE DOMAIN home AS place;
         CREATE TABLE contract (id integer PRIMARY KEY, valid daterange, place place, home home, spot spot, days int4multirange, places place[], terms daterange[]);
         INSERT INTO contract VALUES (1, '[2024-01-01,2025-01-01)', '(a,1)', '(b,2)', '(c,\"(d,3)\")', '{[1,2)}', '{\"(e,4)\"}', '{\"[2024-01-01,2025-01-01)\"}');",
    )
    .await;
    let engine = database.engine().await;
    let stored = database.value("SELECT contract::text FROM contract").await;
    for (updates, missing) in [
        (json!({"valid": {"upper": "2026-01-01"}}), "/valid/lower"),
        (json!({"valid": {"lower": "2023-01-01"}}), "/valid/upper"),
        (json!({"place": {"zip": "9"}}), "/place/street"),
        (json!({"home": {"zip": "9"}}), "/home/street"),
        (json!({"spot": {"name": "x", "place": {"street": "y"}}}), "/spot/place/zip"),
        (json!({"days": [{"lower": 5, "upper": 6}, {"lower": 7}]}), "/days/1/upper"),
        (json!({"places": [{"zip": "9"}]}), "/places/0/street"),
        (json!({"places": [[{"street": "a", "zip": "9"}], [{"zip": "9"}]]}), "/places/1/0/street"),
        (json!({"terms": [{"lower": "2024-01-01"}]}), "/terms/0/upper"),
    ] {
        let update = json!({"table": "contract", "where": {"id": 1}, "updates": updates});
        let found = refused(&engine, "update", update).await;
        assert_eq!(found, ("missing_value".into(), format!("/updates{missing}")));
        let mut data = updates.clone();
        data["id"] = json!(1);
        let upsert = json!({"table": "contract", "data": [data], "on_conflict": {"columns": ["id"], "do": "update"}});
        let found = refused(&engine, "insert", upsert).await;
        assert_eq!(found, ("missing_value".into(), format!("/data/0{missing}")));
        data["id"] = json!(2);
        let insert = json!({"table": "contract", "data": data, "dry_run": true});
        call(&engine, "operator", "insert", insert).await.unwrap();
    }
    assert_eq!(database.value("SELECT contract::text FROM contract").await, stored);
    let whole = json!({"valid": {"lower": null, "upper": "2026-01-01"}, "place": {"street": null, "zip": "9"}, "days": [{"lower": 5, "upper": null}],
        "spot": null, "home": "(x,y)"});
    let whole = json!({"table": "contract", "where": {"id": 1}, "updates": whole});
    call(&engine, "operator", "update", whole).await.unwrap();
    let empty =
        json!({"table": "contract", "where": {"id": 1}, "updates": {"valid": {"bounds": "empty"}}});
    call(&engine, "operator", "update", empty).await.unwrap();
}

#[tokio::test]
async fn columns_that_cannot_be_read_are_not_computed_with() {
    let database = Database::of(FIXTURE).await;
    let mut grant = Grant {
        tables: vec!["public.thing".to_owned()],
        actions: [Action::Select, Action::Update].into_iter().collect(),
        ..Grant::default()
    };
    let masked = ["price", "due", "tags", "meta"];
    grant.columns.mask.extend(masked.map(|name| (name.to_owned(), Mask::Full)));
    grant.columns.writable =
        Some(["price", "due", "tags", "meta", "stock"].map(str::to_owned).to_vec());
    let role = Role { name: "clerk".to_owned(), grants: vec![grant], ..Role::default() };
    let settings =
        Settings { roles: vec![role], default_role: "clerk".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let clerk = Principal::new("someone", "clerk");
    for updates in [
        json!({"price": {"$compute": {"multiply": ["price", 2]}}}),
        json!({"stock": {"$compute": {"multiply": ["price", 2]}}}),
        json!({"due": {"$increment": "1 day"}}),
        json!({"tags": {"$remove": "a"}}),
        json!({"meta": {"$remove": "a"}}),
        json!({"meta": {"$set": {"path": ["a"], "value": 1}}}),
    ] {
        let arguments = json!({"table": "thing", "where": {"id": 1}, "updates": updates});
        let told = call_as(&engine, &clerk, "update", arguments).await.unwrap_err();
        assert_eq!(told.code().as_str(), "forbidden", "{updates}: {told}");
    }
    let beyond = json!({"table": "thing", "where": {"id": 1}, "updates": {"stock": {"$compute": {"add": ["stock", "maker.rate"]}}}});
    let told = call_as(&engine, &clerk, "update", beyond).await.unwrap_err();
    assert_eq!(told.code().as_str(), "unknown_relation", "{told}");
}

#[tokio::test]
async fn a_key_that_is_met_is_told_as_a_list() {
    let engine = Database::of(
        "CREATE TABLE rate (base text, quote text, day date, value numeric, code integer UNIQUE, PRIMARY KEY (base, quote, day));
         CREATE TABLE entry (id integer, booked_on date, kind text) PARTITION BY RANGE (booked_on);
         CREATE TABLE entry_2024 PARTITION OF entry FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
         CREATE TABLE event (id integer, at date, kind text) PARTITION BY RANGE (at, id);
         INSERT INTO entry VALUES (1, '2024-05-05', 'a');",
    )
    .await
    .engine()
    .await;
    let data = json!({"base": "EUR", "quote": "USD", "day": "2024-01-01"});
    let told = error(
        &engine,
        "operator",
        "insert",
        json!({"table": "rate", "data": data, "on_conflict": {"do": "update"}}),
    )
    .await;
    assert_eq!(told["allowed"], json!([r#"["base","quote","day"]"#, r#"["code"]"#]), "{told}");
    for (tool, arguments, at) in [
        (
            "insert",
            json!({"table": "entry", "data": {"id": 2, "booked_on": "2030-01-01"}}),
            "/data/booked_on",
        ),
        (
            "insert",
            json!({"table": "entry", "data": [{"id": 2, "booked_on": "2024-01-01"}, {"id": 3, "booked_on": "2030-01-01"}]}),
            "/data/1/booked_on",
        ),
        (
            "update",
            json!({"table": "entry", "where": {"id": 1}, "updates": {"booked_on": "2030-01-01"}}),
            "/updates/booked_on",
        ),
        ("insert", json!({"table": "event", "data": {"id": 2, "at": "2030-01-01"}}), "/data"),
    ] {
        let told = error(&engine, "operator", tool, arguments.clone()).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("check_violation"), &json!(at)), "{told}");
        let key = if arguments["table"] == "entry" { "by its booked_on" } else { "by its at, id" };
        assert!(told["message"].as_str().unwrap().contains(key), "{told}");
    }
}

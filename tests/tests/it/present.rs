//! The current time as a value: in conditions, computations and writes.

use mcp_pg_core::Engine;
use mcp_pg_core::policy::{Action, Grant, Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, readable, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
CREATE TABLE account (id integer PRIMARY KEY, closed date, secret timestamptz);
CREATE TABLE loan (id integer PRIMARY KEY, account_id integer REFERENCES account, due date, made timestamptz, told timestamp,
  hour time, during tstzrange, days daterange, note text, doc jsonb);
CREATE INDEX ON loan (made);
INSERT INTO account VALUES (1, current_date - 3, now() - interval '1 hour'), (2, NULL, NULL);
INSERT INTO loan
SELECT n, 1 + n % 2, current_date + n * 5 - 50, now() + n * interval '3 days' - interval '30 days',
  localtimestamp + n * interval '3 days' - interval '30 days', '12:00',
  tstzrange(now() - n * interval '1 hour', now() + (10 - n) * interval '1 hour'), daterange(current_date - n, current_date + 10 - n),
  'x', '{}'
FROM generate_series(1, 20) n;";

async fn ids(engine: &Engine, condition: &Value) -> Vec<Value> {
    let arguments = json!({"table": "loan", "columns": ["id"], "where": condition});
    let reply = call(engine, "operator", "select", arguments).await;
    let reply = reply.unwrap_or_else(|error| panic!("{condition}: {error}"));
    rows(&reply).iter().map(|row| row["id"].clone()).collect()
}

fn now(offset: &str) -> Value {
    json!({ "$now": offset })
}

#[tokio::test]
async fn conditions_know_the_present() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let present = json!({"$now": true});
    for (condition, sql) in [
        (json!({"due": {"lt": present}}), "due < current_date"),
        (json!({"due": present}), "due = current_date"),
        (json!({"due": {"ne": present}}), "due <> current_date"),
        (
            json!({"due": {"gte": now("-7 days"), "lt": present}}),
            "due >= current_date - 7 AND due < current_date",
        ),
        (json!({"due": {"gt": now("1 month")}}), "due > current_date + interval '1 month'"),
        (
            json!({"due": {"lte": now("-36 hours")}}),
            "due <= (localtimestamp - interval '36 hours')::date",
        ),
        (
            json!({"made": {"gte": now("-1 week"), "is_null": false}}),
            "made >= now() - interval '1 week'",
        ),
        (
            json!({"made": {"lt": now("-1 quarter +80 days")}}),
            "made < now() - interval '3 months' + interval '80 days'",
        ),
        (json!({"told": {"gt": present}}), "told > localtimestamp"),
        (
            json!({"told": {"lt": now("-1 day -2 hours")}}),
            "told < localtimestamp - interval '26 hours'",
        ),
        (
            json!({"made": {"is_distinct_from": present}, "id": 1}),
            "made IS DISTINCT FROM now() AND id = 1",
        ),
        (json!({"during": {"contains": now("5 hours")}}), "during @> now() + interval '5 hours'"),
        (json!({"days": {"contains": present}}), "days @> current_date"),
        (
            json!({"account": {"closed": {"gte": now("-1 week")}}}),
            "account_id IN (SELECT id FROM account WHERE closed >= current_date - 7)",
        ),
        (
            json!({"or": [{"due": {"gt": {"$column": "account.closed"}}}, {"id": 2}]}),
            "due > (SELECT closed FROM account a WHERE a.id = account_id) OR id = 2",
        ),
    ] {
        let sql =
            format!("SELECT coalesce(json_agg(id ORDER BY id), '[]')::text FROM loan WHERE {sql}");
        let expected: Value = serde_json::from_str(&database.value(&sql).await.unwrap()).unwrap();
        assert_eq!(Value::from(ids(&engine, &condition).await), expected, "{condition}");
        assert_ne!(expected, json!([]), "{condition}: a test that finds nothing tells nothing");
    }
}

#[tokio::test]
async fn measures_computations_and_sort_keys_take_the_present_too() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let having = json!({"table": "loan", "group_by": ["account_id"], "measures": {"last": {"max": "made"}, "due": {"min": "due"},
        "late": {"count": "*", "where": {"due": {"lt": {"$now": true}}}}},
        "having": {"last": {"gt": {"$now": "29 days"}}, "due": {"lt": {"$now": true}}}});
    let reply = call(&engine, "analyst", "aggregate", having).await.unwrap();
    assert_eq!(rows(&reply).len(), 1, "{reply}");
    assert_eq!((&rows(&reply)[0]["account_id"], &rows(&reply)[0]["late"]), (&json!(1), &json!(4)));
    let include = json!({"table": "account", "where": {"loan": {"count": {"gt": 4}, "where": {"due": {"lt": {"$now": true}}}}},
        "columns": ["id"], "include": {"loan": {"columns": ["id"], "where": {"due": {"gt": {"$now": "35 days"}}}}}});
    let reply = call(&engine, "analyst", "select", include).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 2, "loan": [{"id": 19}]})]);
    let ages = json!({"table": "loan", "columns": ["id", {"subtract": [{"$now": true}, "due"], "as": "late"},
        {"subtract": ["due", {"$now": "1 day"}], "as": "left"}, {"multiply": [{"subtract": [{"$now": true}, "told"]}, 0], "as": "none"}],
        "order_by": ["-late"], "limit": 3});
    let reply = call(&engine, "analyst", "select", ages.clone()).await.unwrap();
    let row = |id: i32| json!({"id": id, "late": 50 - 5 * id, "left": 5 * id - 51, "none": 0});
    assert_eq!(rows(&reply), [row(1), row(2), row(3)]);
    // By the time of the next page, all ages are others.
    let mut next = ages;
    next["cursor"] = reply["next_cursor"].clone();
    let reply = call(&engine, "analyst", "select", next).await.unwrap();
    assert_eq!(rows(&reply), [row(4), row(5), row(6)]);
    assert!(
        reply["notes"][0].as_str().unwrap().contains("the order depends on the present"),
        "{reply}"
    );
    let grouped = json!({"table": "loan", "group_by": [{"subtract": [{"$now": true}, "due"], "as": "late"}], "order_by": ["late"],
        "measures": {"n": {"count": "*"}, "mean": {"avg": {"subtract": [{"$now": true}, "due"]}}}, "limit": 1});
    let first = call(&engine, "analyst", "aggregate", grouped.clone()).await.unwrap();
    let mut next = grouped;
    next["cursor"] = first["next_cursor"].clone();
    let second = call(&engine, "analyst", "aggregate", next).await.unwrap();
    assert_eq!([&rows(&first)[0]["late"], &rows(&second)[0]["late"]], [-50, -45]);
    // What is measured since then grows until the next page.
    let since = json!({"table": "loan", "group_by": ["account_id"], "order_by": ["age"], "limit": 1,
        "measures": {"last": {"max": "made"}, "age": {"subtract": [{"$now": true}, "last"]}}});
    let first = call(&engine, "analyst", "aggregate", since.clone()).await.unwrap();
    let mut next = since;
    next["cursor"] = first["next_cursor"].clone();
    let second = call(&engine, "analyst", "aggregate", next).await.unwrap();
    assert_eq!([&rows(&first)[0]["account_id"], &rows(&second)[0]["account_id"]], [1, 2]);
    // An index can look for it.
    let plan = json!({"operation": "select", "table": "loan", "where": {"made": {"gt": {"$now": "-1 day"}}}});
    let plan = call(&engine, "analyst", "explain", plan).await.unwrap();
    assert!(!plan.to_string().contains("no index on"), "{plan}");
}

#[tokio::test]
async fn an_order_by_what_expires_is_paged_by_offset() {
    let database = Database::of(FIXTURE).await;
    let recent = json!({"due": {"gte": {"$now": "-7 days"}}});
    let counted = json!({"n": {"count": "*", "where": recent}});
    let late = json!({"late": {"max": {"subtract": [{"$now": true}, "due"]}}});
    let current = json!({"closed": {"lt": {"$now": "1 day"}}});
    let role = |name: &str, rows| Role {
        name: name.to_owned(),
        grants: vec![readable("loan", None), readable("account", rows)],
        ..Role::default()
    };
    let roles = vec![role("all", None), role("some", Some(current))];
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    for (role, tool, arguments, moves) in [
        (
            "all",
            "select",
            json!({"table": "account", "order_by": [{"count": "loan", "where": recent}]}),
            true,
        ),
        (
            "all",
            "select",
            json!({"table": "account", "order_by": [{"sum": "loan.id", "where": recent, "direction": "desc"}]}),
            true,
        ),
        (
            "all",
            "select",
            json!({"table": "account", "order_by": [{"count": "loan"}], "where": {"loan": {"some": recent}}}),
            false,
        ),
        (
            "all",
            "aggregate",
            json!({"group_by": ["account_id"], "measures": counted, "order_by": ["n"]}),
            true,
        ),
        (
            "all",
            "aggregate",
            json!({"group_by": ["account_id"], "measures": {"n": {"count": "*"}}, "where": recent, "order_by": ["-n"]}),
            true,
        ),
        (
            "all",
            "aggregate",
            json!({"group_by": ["account_id"], "measures": {"n": {"count": "*"}}, "where": recent}),
            false,
        ),
        ("all", "aggregate", json!({"group_by": ["account_id"], "measures": late}), false),
        (
            "all",
            "aggregate",
            json!({"group_by": ["account_id"], "measures": late, "order_by": [{"add": ["late", 1]}]}),
            true,
        ),
        ("all", "select", json!({"order_by": ["account.secret"]}), false),
        ("some", "select", json!({"order_by": ["account.secret"]}), true),
    ] {
        let mut arguments = arguments;
        let asked = arguments.as_object_mut().unwrap();
        asked.entry("table").or_insert_with(|| json!("loan"));
        asked.insert("limit".to_owned(), json!(1));
        let reply = call(&engine, role, tool, arguments.clone()).await.unwrap();
        let noted = reply["notes"].to_string().contains("the order depends on the present");
        assert_eq!(noted, moves, "{arguments}: {reply}");
        let cursor = reply["next_cursor"].clone();
        let first = rows(&reply)[0].clone();
        arguments["cursor"] = cursor;
        let next = call(&engine, role, tool, arguments.clone()).await.unwrap();
        assert!(next["offset"].is_null() && rows(&next)[0] != first, "{arguments}: {next}");
    }
}

#[tokio::test]
async fn rows_are_written_and_changed_by_it() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let row = |id: i32, due: Value| json!({"id": id, "due": due, "made": {"$now": "-1 month"}, "told": {"$now": true}});
    let data = json!([
        row(30, now("14 days")),
        row(31, json!({"$now": true})),
        row(32, json!("2024-01-31"))
    ]);
    call(&engine, "operator", "insert", json!({"table": "loan", "data": data})).await.unwrap();
    let upsert = json!({"table": "loan", "data": row(30, now("15 days")), "on_conflict": {"columns": ["id"], "do": "update"}});
    call(&engine, "operator", "insert", upsert).await.unwrap();
    let update = json!({"table": "loan", "where": {"made": {"lt": {"$now": "-20 days"}}, "id": {"gt": 30}}, "max_rows": 9,
        "updates": {"due": {"$now": "1 year"}, "hour": {"$now": "-1 hour"}}});
    let reply = call(&engine, "operator", "update", update).await.unwrap();
    assert_eq!(reply["row_count"], 2);
    let each = json!({"table": "loan", "where": {}, "updates": [{"id": 1, "due": {"$now": "2 days"}}, {"id": 2, "due": {"$now": true}},
        {"id": 3, "due": {"$now": "3 days"}}]});
    call(&engine, "operator", "update", each).await.unwrap();
    let told = "SELECT string_agg(id || ':' || due - current_date, ' ' ORDER BY id) FROM loan WHERE id IN (1, 2, 3, 30)";
    assert_eq!(database.value(told).await.unwrap(), "1:2 2:0 3:3 30:15");
    let told = "SELECT bool_and(due = (now() + interval '1 year')::date AND made <= now() - interval '1 month'
        AND made > now() - interval '1 month 1 day' AND hour <= (now() - interval '1 hour')::time)::text FROM loan WHERE id > 30";
    assert_eq!(database.value(told).await.unwrap(), "true");
}

#[tokio::test]
async fn invalid_forms_of_the_present_are_refused() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (condition, code, at) in [
        (json!({"due": {"lt": {"$now": false}}}), "invalid_value", "/due/lt/$now"),
        (json!({"due": {"lt": {"$now": null}}}), "invalid_value", "/due/lt/$now"),
        (json!({"due": {"lt": {"$now": "soon"}}}), "invalid_value", "/due/lt/$now"),
        (json!({"due": {"lt": {"$now": "5000 years"}}}), "invalid_value", "/due/lt/$now"),
        (
            json!({"due": {"lt": {"$now": "1 day'; DROP TABLE loan"}}}),
            "invalid_value",
            "/due/lt/$now",
        ),
        (json!({"due": {"$now": 7}}), "invalid_value", "/due/$now"),
        (json!({"id": {"lt": {"$now": true}}}), "invalid_value", "/id/lt/$now"),
        (json!({"hour": {"lt": {"$now": true}}}), "invalid_value", "/hour/lt/$now"),
        (json!({"during": {"$now": true}}), "invalid_value", "/during/$now"),
        (json!({"due": {"contains": {"$now": true}}}), "unknown_operator", "/due/contains"),
        (json!({"id": {"in": [{"$now": true}]}}), "invalid_value", "/id/in/0/$now"),
        (json!({"doc": {"path": ["at"], "lt": {"$now": true}}}), "invalid_value", "/doc/lt"),
    ] {
        let arguments = json!({"table": "loan", "where": condition});
        let (found, place) = refused(&engine, "select", arguments).await;
        assert_eq!((found.as_str(), place), (code, format!("/where{at}")), "{condition}");
    }
    for (given, wanted) in [
        ("now() - interval '7 days'", r#"{"$now": "-7 days"}"#),
        ("CURRENT_DATE - 7", r#"{"$now": "-7 days"}"#),
        ("7 days ago", r#"{"$now": "-7 days"}"#),
        ("-7 days", r#"{"$now": "-7 days"}"#),
        ("today", r#"{"$now": true}"#),
        ("yesterday", r#"{"$now": "-1 day"}"#),
        ("soon", r#"{"$now": "-7 days"}"#),
        ("2024-02-30", r#"{"$now": "-7 days"}"#),
    ] {
        for column in ["due", "made", "told"] {
            let arguments = json!({"table": "loan", "where": {column: {"gte": given}}});
            let told = error(&engine, "analyst", "select", arguments).await;
            assert!(told["hint"].as_str().unwrap().contains(wanted), "{given}: {told}");
        }
    }
    let moment = json!({"table": "loan", "where": {"made": {"$now": "3 minutes"}}});
    let told = call(&engine, "analyst", "select", moment).await.unwrap();
    assert!(told["notes"][0].as_str().unwrap().contains("this very moment"), "{told}");
    for (columns, at) in [
        (
            json!({"subtract": [{"$now": true}, {"$now": "-1 day"}], "as": "a"}),
            "/columns/0/subtract",
        ),
        (json!({"subtract": [{"$now": true}, "id"], "as": "a"}), "/columns/0/subtract/1"),
        (json!({"subtract": [{"$now": "x"}, "due"], "as": "a"}), "/columns/0/subtract/0/$now"),
        (json!({"subtract": [{"$now": true}, 5], "as": "a"}), "/columns/0/subtract/1"),
        (json!({"add": ["id", {"$now": true}], "as": "a"}), "/columns/0/add/1/$now"),
    ] {
        let told =
            error(&engine, "analyst", "select", json!({"table": "loan", "columns": [columns]}))
                .await;
        assert_eq!(told["at"], at, "{told}");
        assert!(told["hint"].is_string(), "{told}");
    }
}

#[tokio::test]
async fn a_related_column_is_compared_under_its_own_rights() {
    let database = Database::of(FIXTURE).await;
    let grant = |table: &str| Grant {
        tables: vec![format!("public.{table}")],
        actions: [Action::Select].into_iter().collect(),
        ..Grant::default()
    };
    let mut accounts = grant("account");
    accounts.columns.mask.insert("secret".to_owned(), Mask::Full);
    accounts.rows = json!({"id": 2}).as_object().cloned();
    let role = Role {
        name: "reader".to_owned(),
        grants: vec![accounts, grant("loan")],
        ..Role::default()
    };
    let settings =
        Settings { roles: vec![role], default_role: "reader".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let reader = Principal::new("someone", "reader");
    for (column, operator, code) in [
        ("made", "account.secret", "forbidden"),
        ("due", "account.nothing", "unknown_column"),
        ("due", "person.born", "unknown_relation"),
    ] {
        let arguments = json!({"table": "loan", "where": {column: {"gt": {"$column": operator}}}});
        let error = call_as(&engine, &reader, "select", arguments).await.unwrap_err();
        assert_eq!(error.code().as_str(), code, "{error}");
        assert_eq!(error.get_at().unwrap(), format!("/where/{column}/gt/$column"));
    }
    // The account that was closed is not there for the role: all loans of the other one, which never was.
    for (condition, expected) in [
        (json!({"due": {"gt": {"$column": "account.closed"}}}), 0),
        (json!({"due": {"is_distinct_from": {"$column": "account.closed"}}}), 20),
    ] {
        let arguments = json!({"table": "loan", "where": condition, "columns": ["id"]});
        let reply = call_as(&engine, &reader, "select", arguments).await.unwrap();
        assert_eq!(rows(&reply).len(), expected, "{condition}");
    }
}

#[tokio::test]
async fn counts_of_related_rows_compare_with_columns() {
    let database = Database::of(
        "CREATE TABLE shift (id integer PRIMARY KEY, planned integer, least numeric, parent_id integer REFERENCES shift, name text);
         CREATE TABLE person (id integer PRIMARY KEY, shift_id integer REFERENCES shift, sick boolean);
         INSERT INTO shift VALUES (1, 2, 0.5, NULL, 'a'), (2, 1, 2.5, 1, 'b'), (3, NULL, NULL, 2, 'c'), (4, 0, 0, 1, 'd');
         INSERT INTO person VALUES (1, 1, false), (2, 2, true), (3, 2, false), (4, 3, false);",
    )
    .await;
    let engine = database.engine().await;
    let found = async |condition: Value| {
        let arguments = json!({"table": "shift", "columns": ["id"], "where": condition});
        let reply = call(&engine, "operator", "select", arguments).await;
        let reply = reply.unwrap_or_else(|error| panic!("{condition}: {error}"));
        rows(&reply).iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let column = |name: &str| json!({ "$column": name });
    for (condition, expected) in [
        (json!({"person": {"count": {"lt": column("planned")}}}), vec![1]),
        (json!({"person": {"count": {"gte": column("least"), "lt": 2}}}), vec![1, 4]),
        (json!({"person": {"count": column("planned")}}), vec![4]),
        (json!({"person": {"count": {"lt": column("parent.planned")}}}), vec![4]),
        (
            json!({"person": {"count": {"eq": column("planned")}, "where": {"sick": false}}}),
            vec![2, 4],
        ),
        (json!({"not": {"person": {"count": {"lt": column("planned")}}}}), vec![2, 4]),
    ] {
        assert_eq!(found(condition.clone()).await, expected, "{condition}");
    }
    for (condition, code, at) in [
        (json!({"count": {"lt": column("name")}}), "invalid_value", "/count/lt/$column"),
        (json!({"count": {"lt": column("no")}}), "unknown_column", "/count/lt/$column"),
        (json!({"count": {"lt": {"$now": true}}}), "invalid_value", "/count/lt/$now"),
        (json!({"count": {"in": [column("name")]}}), "invalid_value", "/count/in/0/$column"),
    ] {
        let arguments = json!({"table": "shift", "where": {"person": condition}});
        let told = refused(&engine, "select", arguments).await;
        assert_eq!(told, (code.into(), format!("/where/person{at}")), "{condition}");
    }
    // A row that is locked to be changed is found in the same way.
    let update = json!({"table": "shift", "updates": {"name": "few"},
        "where": {"person": {"count": {"lt": column("planned")}}, "id": {"ne": column("parent.id")}, "planned": {"gt": column("least")}}});
    assert_eq!(call(&engine, "operator", "update", update).await.unwrap()["row_count"], 0);
    let update = json!({"table": "shift", "updates": {"name": "few"}, "where": {"planned": {"lt": column("parent.planned")}}, "max_rows": 5});
    assert_eq!(call(&engine, "operator", "update", update).await.unwrap()["row_count"], 2);
}

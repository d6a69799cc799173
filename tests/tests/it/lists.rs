//! Lists of values as a measure.

use mcp_pg_core::policy::{Action, ColumnMarks, Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = r#"
CREATE TYPE kind AS ENUM ('small', 'large');
CREATE DOMAIN label AS varchar(20);
CREATE TABLE shop (id integer PRIMARY KEY, name text, archived_at timestamptz);
INSERT INTO shop VALUES (1, 'North'), (2, 'South');
CREATE TABLE sale (id integer PRIMARY KEY, shop_id integer REFERENCES shop, buyer text, kind kind, kinds kind[], quantity smallint, price numeric(9,2),
  word varchar(9), label label, day date, doc jsonb, spot point, secret text, flag boolean);
INSERT INTO sale VALUES
  (1, 1, 'zoë', 'large', '{small}', 2, 2.50, 'w', 'l', '2025-03-01', '{"a": 2}', NULL, 's', true),
  (2, 1, 'Ada "x", {y}', 'small', '{}', 10, 10.5, 'v', NULL, '2025-01-01', '{"a": [1, "b"]}', NULL, 's', false),
  (3, 1, 'zoë', 'large', NULL, 10, NULL, 'NULL', 'k', '2025-01-01', '{"a": null}', NULL, 's', NULL),
  (4, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 's', true);"#;

#[tokio::test]
async fn each_value_stands_once_and_in_its_order() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (of, sql) in [
        (json!("buyer"), "buyer"),
        (json!("kind"), "kind"),
        (json!("quantity"), "quantity"),
        (json!("price"), "price"),
        (json!("word"), "word"),
        (json!("label"), "label"),
        (json!("day"), "day"),
        (json!("flag"), "flag"),
        (json!("shop.name"), "(SELECT name FROM shop WHERE shop.id = shop_id)"),
        (json!({"column": "doc", "path": ["a"]}), "nullif(doc->'a', 'null')"),
        (json!({"multiply": ["quantity", 2]}), "quantity * 2"),
    ] {
        for (condition, filter) in
            [(json!({}), "true"), (json!({"quantity": {"gt": 5}}), "quantity > 5")]
        {
            let by_hand = format!(
                "SELECT json_agg(json_build_array(shop_id, coalesce(l, '{{}}')) ORDER BY shop_id)::text FROM (SELECT shop_id,
                 array_agg(DISTINCT {sql} ORDER BY {sql}) FILTER (WHERE {sql} IS NOT NULL AND {filter}) AS l FROM sale GROUP BY 1) g"
            );
            let expected: Value =
                serde_json::from_str(&database.value(&by_hand).await.unwrap()).unwrap();
            let arguments = json!({"table": "sale", "group_by": ["shop_id"], "order_by": ["shop_id"],
                "measures": {"all": {"list": of, "where": condition}}});
            let reply = call(&engine, "analyst", "aggregate", arguments).await;
            let reply = reply.unwrap_or_else(|error| panic!("{of}: {error}"));
            let found = rows(&reply).iter().map(|row| json!([row["shop_id"], row["all"]]));
            assert_eq!(found.collect::<Value>(), expected, "{of} {condition}");
        }
    }
    // Groups are chosen and sorted by them, and their pages go on.
    let mut arguments = json!({"table": "sale", "group_by": ["shop_id"], "measures": {"buyers": {"list": "buyer"}}, "order_by": ["-buyers"], "limit": 1});
    let first = call(&engine, "analyst", "aggregate", arguments.clone()).await.unwrap();
    arguments["cursor"] = first["next_cursor"].clone();
    let second = call(&engine, "analyst", "aggregate", arguments.clone()).await.unwrap();
    assert_eq!([&rows(&first)[0]["shop_id"], &rows(&second)[0]["shop_id"]], [1, 2]);
    arguments.as_object_mut().unwrap().remove("cursor");
    arguments["having"] = json!({"buyers": {"contains": "zoë"}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    assert_eq!((rows(&reply).len(), &reply["truncated"]), (1, &json!(false)));
}

#[tokio::test]
async fn a_long_list_is_cut_and_says_so() {
    let database = Database::of("CREATE TABLE n (id integer PRIMARY KEY, half integer); INSERT INTO n SELECT i, i / 2 FROM generate_series(0, 299) i").await;
    let engine = database.engine().await;
    let listed = |most: i32| json!({"table": "n", "measures": {"all": {"list": "half"}}, "where": {"half": {"lt": most}}});
    for (most, length, noted) in [(99, 99, false), (100, 100, true), (150, 100, true)] {
        let reply = call(&engine, "analyst", "aggregate", listed(most)).await.unwrap();
        let expected: Vec<i32> = (0..length).collect();
        assert_eq!(rows(&reply)[0]["all"], json!(expected));
        assert_eq!(reply["notes"][0].is_string(), noted, "{}", reply["notes"]);
    }
}

#[tokio::test]
async fn what_cannot_be_listed_is_told() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for of in [json!("kinds"), json!("spot"), json!("*")] {
        let arguments = json!({"table": "sale", "measures": {"all": {"list": of}}});
        let told = refused(&engine, "aggregate", arguments).await;
        assert_eq!(told, ("invalid_value".into(), "/measures/all/list".into()));
    }
    for (measure, member, meant) in [
        (json!({"array_agg": "buyer"}), "did_you_mean", "list"),
        (json!({"string_agg": "buyer"}), "hint", "list"),
        (json!({"bool_or": "flag"}), "hint", r#"{"count": "*", "where""#),
        (json!({"every": "flag"}), "hint", r#"{"count": "*", "where""#),
        (json!({"avg": "flag"}), "hint", r#""share": {"divide": ["yes", "n"]}"#),
        (json!({"sum": "flag"}), "hint", r#"{"count": "*", "where": {"flag": true}}"#),
        (json!({"running_sum": "price"}), "hint", "order_by"),
    ] {
        let arguments = json!({"table": "sale", "measures": {"m": measure}});
        let told = error(&engine, "analyst", "aggregate", arguments).await;
        assert!(told[member].as_str().is_some_and(|text| text.contains(meant)), "{told}");
    }
}

#[tokio::test]
async fn what_else_is_computed_elsewhere_is_told() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let all = ["add", "subtract", "multiply", "divide"];
    for (function, meant) in [
        ("concat", "join"),
        ("coalesce", "null"),
        ("round", "exactly"),
        ("running_sum", "order_by"),
    ] {
        for (tool, arguments) in [
            ("select", json!({"table": "sale", "columns": [{function: ["price", 1], "as": "x"}]})),
            ("select", json!({"table": "sale", "order_by": [{function: ["price", 1]}]})),
            (
                "select",
                json!({"table": "sale", "columns": [{"add": [{function: ["price", 1]}, 1], "as": "x"}]}),
            ),
            (
                "aggregate",
                json!({"table": "sale", "group_by": [{function: ["price", 1], "as": "x"}], "measures": {"n": {"count": "*"}}}),
            ),
        ] {
            let told = error(&engine, "analyst", tool, arguments.clone()).await;
            assert!(told["hint"].as_str().unwrap().contains(meant), "{arguments}: {told}");
            let allowed = told["allowed"].as_array().unwrap();
            assert!(all.iter().all(|name| allowed.contains(&json!(name))), "{arguments}: {told}");
        }
    }
    let arguments = json!({"table": "sale", "columns": [{"substract": ["price", 1], "as": "x"}]});
    let told = error(&engine, "analyst", "select", arguments).await;
    assert_eq!(told["did_you_mean"], "subtract");
}

#[tokio::test]
async fn a_list_shows_no_more_than_its_column() {
    let database = Database::of(FIXTURE).await;
    let mut role = Role::everywhere("reader", [Action::Select]);
    role.grants[0].columns.mask.insert("secret".into(), Mask::Full);
    role.grants[0].columns.exclude = vec!["word".into()];
    let columns = ColumnMarks { untrusted: vec!["*.*.buyer".into()], ..ColumnMarks::default() };
    let settings = Settings { roles: vec![role], columns, ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let reader = Principal::new("someone", "reader");
    let listed = |column: &str| json!({"table": "sale", "measures": {"all": {"list": column}}});
    for (column, code) in [("secret", "forbidden"), ("word", "unknown_column")] {
        let error = call_as(&engine, &reader, "aggregate", listed(column)).await.unwrap_err();
        assert_eq!(error.code().as_str(), code, "{column}");
    }
    let reply = call_as(&engine, &reader, "aggregate", listed("buyer")).await.unwrap();
    assert_eq!(reply["untrusted"], json!(["all"]));
}

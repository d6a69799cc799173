//! Pages: order, cursors, limits, counts and formats.

mod cursor;
mod reply;

use mcp_pg_tests::{Database, call, pages, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
CREATE TYPE spot AS (x integer, y integer);
CREATE TABLE item (
  id integer PRIMARY KEY, kind text, size integer, weight numeric, at timestamptz NOT NULL, spot spot, ratio float8,
  list integer[], big bigint, path point);
INSERT INTO item SELECT n, CASE n % 4 WHEN 0 THEN NULL ELSE 'kind ' || n % 4 END, CASE WHEN n % 3 = 0 THEN NULL ELSE n % 5 END,
  CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' ELSE n / 7.0 END,
  timestamptz '2024-01-01 00:00+00' + n % 6 * interval '1 microsecond', CASE WHEN n % 2 = 0 THEN ROW(n % 3, NULL)::spot END,
  CASE n % 5 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' WHEN 2 THEN -0.0 ELSE n END, ARRAY[n % 3, NULL],
  9007199254740992 + n, '(1,2)'
FROM generate_series(1, 60) n;
CREATE TABLE log (line text, n integer);
INSERT INTO log SELECT 'line ' || n, n FROM generate_series(1, 10) n;
CREATE VIEW seen AS SELECT id, kind FROM item;
CREATE TABLE two (a integer NOT NULL, b integer NOT NULL, c text, UNIQUE (a, b));
INSERT INTO two SELECT n / 5, n % 5, 'c' FROM generate_series(0, 24) n;";

/// With these, pages after a row are sought instead of filtered.
const INDEXES: &str = "
CREATE INDEX ON item (kind, size);
CREATE INDEX ON item (size);
CREATE INDEX ON item (weight);
CREATE INDEX ON item (ratio DESC);
CREATE INDEX ON item (at);
CREATE INDEX ON item (spot);
CREATE INDEX ON item (list, kind);";

#[tokio::test]
async fn pages_follow_each_other_in_every_order() {
    let sought = Database::of(&format!("{FIXTURE}{INDEXES}")).await.engine().await;
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let client = database.client().await;
    for (order_by, sql) in [
        (json!([]), "id"),
        (json!(["kind"]), "kind, id"),
        (json!(["-kind"]), "kind DESC, id DESC"),
        (json!([{"column": "kind", "nulls": "first"}]), "kind NULLS FIRST, id"),
        (
            json!([{"column": "kind", "direction": "desc", "nulls": "last"}]),
            "kind DESC NULLS LAST, id DESC",
        ),
        (json!(["kind", "-size"]), "kind, size DESC, id DESC"),
        (json!(["-kind", "size"]), "kind DESC, size, id"),
        (
            json!([{"column": "size", "nulls": "first"}, "-kind", "id"]),
            "size NULLS FIRST, kind DESC, id",
        ),
        (json!(["weight"]), "weight, id"),
        (json!(["-ratio", "weight"]), "ratio DESC, weight, id"),
        (json!(["-at"]), "at DESC, id DESC"),
        (json!(["at", "-id"]), "at, id DESC"),
        (json!(["-id", "at"]), "id DESC, at"),
        (json!(["spot"]), "spot, id"),
        (json!(["-spot", "kind"]), "spot DESC, kind, id"),
        (json!(["list"]), "list, id"),
        (json!(["-big"]), "big DESC, id DESC"),
        (json!(["kind", "-kind"]), "kind, id"),
    ] {
        let query = format!("SELECT id FROM item ORDER BY {sql}");
        let expected = client.query(&query, &[]).await.unwrap();
        let expected: Vec<Value> =
            expected.iter().map(|row| json!({"id": row.get::<_, i32>(0)})).collect();
        for limit in [1, 7, 60] {
            let select = json!({"table": "item", "columns": ["id"], "order_by": order_by});
            for engine in [&engine, &sought] {
                let rows = pages(engine, "select", select.clone(), limit).await;
                assert_eq!(rows, expected, "{order_by} by {limit}");
            }
        }
    }
    let two =
        json!({"table": "two", "columns": ["a", "b"], "order_by": ["-b"], "where": {"c": "c"}});
    let all = pages(&engine, "select", two.clone(), 100).await;
    assert_eq!(all.len(), 25);
    assert_eq!(pages(&engine, "select", two, 4).await, all);
    let unordered = json!({"table": "item", "order_by": ["path"]});
    let place = ("invalid_value".to_owned(), "/order_by/0".to_owned());
    assert_eq!(refused(&engine, "select", unordered).await, place);
    for (order_by, code, at) in [
        (json!(["nothing"]), "unknown_column", "/order_by/0"),
        (json!([{"column": "id", "direction": "up"}]), "invalid_value", "/order_by/0/direction"),
        (json!([{"column": "id", "null": "last"}]), "unknown_argument", "/order_by/0/null"),
        (json!([1]), "invalid_value", "/order_by/0"),
    ] {
        let select = json!({"table": "item", "order_by": order_by});
        assert_eq!(refused(&engine, "select", select).await, (code.to_owned(), at.to_owned()));
    }
}

#[tokio::test]
async fn a_sought_page_has_all_that_another_has() {
    const TREE: &str = "
        CREATE TABLE node (id integer PRIMARY KEY, parent_id integer REFERENCES node, kind text NOT NULL, size integer, note text);
        INSERT INTO node SELECT n, NULLIF(n / 3, 0), 'kind ' || n % 3, NULLIF(n % 5, 0), 'note' FROM generate_series(1, 40) n;";
    let filtered = Database::of(TREE).await;
    let sought = Database::of(&format!(
        "{TREE} CREATE INDEX ON node (kind, size); CREATE INDEX ON node (size);"
    ))
    .await;
    for (order_by, condition) in [
        (json!(["size"]), json!({"kind": "kind 1"})),
        (json!(["kind", "-size"]), json!({"parent": {"size": {"gt": 1}}})),
        (json!(["-kind", "size"]), json!({"note": "note", "node_by_parent": {"some": {}}})),
    ] {
        let select = json!({
            "table": "node", "columns": ["id"], "where": condition, "order_by": order_by, "with_version": true,
            "include": {"parent": {"columns": ["kind"]}, "node_by_parent": {"columns": ["id"], "limit": 1}},
        });
        let mut both = Vec::new();
        for database in [&filtered, &sought] {
            let mut rows = pages(&database.engine().await, "select", select.clone(), 3).await;
            assert!(rows.len() > 3, "{select}");
            for row in &mut rows {
                let version = row.as_object_mut().unwrap().shift_remove("_version").unwrap();
                assert!(version.is_string(), "{version}");
            }
            both.push(rows);
        }
        assert_eq!(both[0], both[1], "{select}");
    }
}

#[tokio::test]
async fn pages_are_steady_while_rows_come_and_go() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let mut select = json!({"table": "item", "columns": ["id"], "order_by": ["kind"], "limit": 5});
    let before = pages(&engine, "select", select.clone(), 60).await;
    let mut seen = Vec::new();
    for page in 0..100 {
        let reply = call(&engine, "analyst", "select", select.clone()).await.unwrap();
        seen.extend(rows(&reply).to_vec());
        select["cursor"] = reply["next_cursor"].clone();
        if select["cursor"].is_null() {
            break;
        }
        // Before the cursor rows come, and the row that it stands on goes.
        let last = rows(&reply).last().unwrap()["id"].clone();
        database
            .sql(&format!(
                "INSERT INTO item (id, kind, at) VALUES ({}, 'a', now()); DELETE FROM item WHERE id = {last};",
                1000 + page
            ))
            .await;
    }
    assert_eq!(seen, before);
}

#[tokio::test]
async fn without_a_key_pages_are_told_by_their_offset() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for table in ["log", "seen"] {
        let first = json!({"table": table, "limit": 3, "order_by": ["-1"]});
        assert_eq!(refused(&engine, "select", first).await.0, "unknown_column");
    }
    let select = json!({"table": "log", "columns": ["n"], "order_by": ["-n"]});
    let all = pages(&engine, "select", select.clone(), 4).await;
    assert_eq!(all, (1..=10).rev().map(|n| json!({"n": n})).collect::<Vec<_>>());
    let reply =
        call(&engine, "analyst", "select", json!({"table": "log", "limit": 4})).await.unwrap();
    assert!(reply["notes"][0].as_str().unwrap().contains("no key"), "{reply}");
    let reply =
        call(&engine, "analyst", "select", json!({"table": "item", "limit": 4})).await.unwrap();
    assert_eq!(reply.get("notes"), None);
    let offset = json!({"table": "log", "columns": ["n"], "order_by": ["n"], "offset": 8});
    let reply = call(&engine, "analyst", "select", offset).await.unwrap();
    assert_eq!(rows(&reply), [json!({"n": 9}), json!({"n": 10})]);
    let offset = json!({"table": "item", "columns": ["id"], "offset": 10, "limit": 2});
    let reply = call(&engine, "analyst", "select", offset).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 11}), json!({"id": 12})]);
    let beyond = json!({"table": "item", "offset": u64::MAX});
    assert_eq!(refused(&engine, "select", beyond).await.0, "invalid_value");
}

#[tokio::test]
async fn rows_without_a_key_are_each_on_one_page() {
    let engine = Database::of(
        "CREATE TABLE tie (n integer, kind text);
         INSERT INTO tie SELECT n, 'k' FROM generate_series(1, 40) n ORDER BY n % 7;
         CREATE TABLE leaf () INHERITS (tie);
         INSERT INTO leaf SELECT n, 'k' FROM generate_series(41, 60) n;
         CREATE TABLE part (n integer, kind text) PARTITION BY HASH (n);
         CREATE TABLE part_0 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE part_1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         INSERT INTO part SELECT n, 'k' FROM generate_series(1, 60) n;
         CREATE TABLE loose (n integer UNIQUE, kind text);
         INSERT INTO loose SELECT n, 'k' FROM generate_series(1, 60) n;
         CREATE MATERIALIZED VIEW kept AS SELECT n, kind FROM tie;
         CREATE VIEW seen AS SELECT a.n, a.kind, '{}'::json AS doc FROM tie a JOIN tie b USING (n);",
    )
    .await
    .engine()
    .await;
    for table in ["tie", "leaf", "part", "loose", "kept", "seen"] {
        for order_by in [json!(["kind"]), json!(["-kind"])] {
            let select = json!({"table": table, "columns": ["n"], "order_by": order_by});
            let all = pages(&engine, "select", select.clone(), 1_000).await;
            let mut seen: Vec<String> = Vec::new();
            for limit in [7, 11] {
                let rows = pages(&engine, "select", select.clone(), limit).await;
                assert_eq!(rows, all, "{table}");
                seen = rows.iter().map(|row| row["n"].to_string()).collect();
            }
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), all.len(), "{table}");
        }
    }
    let inside = json!({"table": "tie", "order_by": ["kind"], "limit": 1, "offset": 59});
    let reply = call(&engine, "analyst", "select", inside).await.unwrap();
    assert!(reply["notes"][0].as_str().unwrap().contains("by offset"), "{reply}");
    let unordered = json!({"table": "tie", "limit": 1});
    let reply = call(&engine, "analyst", "select", unordered).await.unwrap();
    assert!(reply["notes"][0].as_str().unwrap().contains("no order_by"), "{reply}");
}

#[tokio::test]
async fn a_select_by_key_is_a_single_page() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (arguments, expected) in [
        (
            json!({"table": "item", "where": {"id": 7}, "order_by": ["-kind"], "columns": ["id"]}),
            json!([{"id": 7}]),
        ),
        (json!({"table": "item", "where": {"id": 7, "kind": "none"}}), json!([])),
        (json!({"table": "item", "where": {"id": 7}, "offset": 1}), json!([])),
        (json!({"table": "item", "where": {"id": 7}, "limit": 0}), json!([])),
        (
            json!({"table": "two", "where": {"and": [{"b": 3}, {"a": {"eq": 1}}]}}),
            json!([{"a": 1, "b": 3, "c": "c"}]),
        ),
        // Half a key names no row.
        (
            json!({"table": "two", "where": {"a": 1}, "columns": ["b"], "order_by": ["-b"]}),
            json!([{"b": 4}, {"b": 3}, {"b": 2}, {"b": 1}, {"b": 0}]),
        ),
        (
            json!({"table": "item", "where": {"or": [{"id": 1}, {"id": 2}]}, "columns": ["id"]}),
            json!([{"id": 1}, {"id": 2}]),
        ),
        (
            json!({"table": "item", "where": {"not": {"id": {"gt": 1}}}, "columns": ["id"]}),
            json!([{"id": 1}]),
        ),
    ] {
        let reply = call(&engine, "analyst", "select", arguments.clone()).await.unwrap();
        assert_eq!(reply["rows"], expected, "{arguments}");
        assert_eq!((&reply["truncated"], &reply["next_cursor"]), (&json!(false), &Value::Null));
    }
    let (code, at) = refused(
        &engine,
        "select",
        json!({"table": "item", "where": {"id": 7}, "order_by": ["nil"]}),
    )
    .await;
    assert_eq!((code.as_str(), at.as_str()), ("unknown_column", "/order_by/0"));
}

#[tokio::test]
async fn pages_by_values_that_json_does_not_tell_apart() {
    let engine = Database::of(
        "CREATE TABLE odd (id integer PRIMARY KEY, list integer[], doc jsonb);
         INSERT INTO odd VALUES (1, '[2:3]={1,2}', 'null'), (2, '{1,2}', '12345678901234567890123'),
           (3, '[0:1]={1,2}', '\"x\"'), (4, NULL, NULL), (5, '{}', 'null');",
    )
    .await
    .engine()
    .await;
    for column in ["list", "-list", "doc", "-doc"] {
        let mut arguments = json!({"table": "odd", "order_by": [column], "limit": 1});
        let mut ids = Vec::new();
        while ids.len() < 6 {
            let reply = call(&engine, "admin", "select", arguments.clone()).await.unwrap();
            ids.push(rows(&reply)[0]["id"].as_u64().unwrap());
            if reply["next_cursor"].is_null() {
                break;
            }
            arguments["cursor"] = reply["next_cursor"].clone();
        }
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3, 4, 5], "{column}");
    }
}

#[tokio::test]
async fn pages_include_nulls_in_a_domain_that_is_not_null() {
    let database = Database::of(
        "CREATE DOMAIN label AS text NOT NULL;
         CREATE TABLE tin (id integer PRIMARY KEY, label label);
         CREATE INDEX ON tin (label);
         INSERT INTO tin VALUES (1, 'x'), (2, (SELECT label FROM tin WHERE false)), (3, 'a'),
             (4, (SELECT label FROM tin WHERE false));",
    )
    .await;
    let engine = database.engine().await;
    for (order_by, expected) in [
        (json!(["label"]), [3, 1, 2, 4]),
        (json!(["-label"]), [4, 2, 1, 3]),
        (json!([{"column": "label", "nulls": "first"}]), [2, 4, 3, 1]),
    ] {
        let arguments = json!({"table": "tin", "columns": ["id"], "order_by": order_by});
        let read = pages(&engine, "select", arguments, 1).await;
        let ids: Vec<i64> = read.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, expected, "{order_by}");
    }
    // Written, it is refused.
    let null = json!({"table": "tin", "data": {"id": 5, "label": null}});
    assert_eq!(refused(&engine, "insert", null).await.0, "not_null_violation");
}

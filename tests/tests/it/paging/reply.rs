//! What a page holds besides its rows, and when it is cut.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::Limits;
use mcp_pg_tests::{Database, call, error, pages, refused, rows};
use serde_json::{Value, json};

use super::FIXTURE;

#[tokio::test]
async fn a_reply_over_a_limit_is_cut_at_a_row() {
    let database = Database::of(
        "CREATE TABLE wide (id integer PRIMARY KEY, body text);
         INSERT INTO wide SELECT n, repeat(chr(96 + n), n * 100) FROM generate_series(1, 20) n;",
    )
    .await;
    let limits =
        Limits { max_rows: 8, default_rows: 5, max_reply_bytes: 2_500, ..Limits::default() };
    let engine = database.engine_with(Settings { limits, ..Settings::default() }).await;
    let ids = json!({"table": "wide", "columns": ["id"]});
    let reply = call(&engine, "analyst", "select", ids.clone()).await.unwrap();
    assert_eq!((rows(&reply).len(), &reply["truncated"]), (5, &json!(true)));
    let mut many = ids.clone();
    many["limit"] = json!(1_000_000);
    let reply = call(&engine, "analyst", "select", many).await.unwrap();
    assert_eq!((rows(&reply).len(), &reply["truncated"]), (8, &json!(true)));
    assert_eq!(pages(&engine, "select", ids.clone(), 1_000_000).await.len(), 20);
    let mut none = ids;
    none["limit"] = json!(0);
    none["count"] = json!("exact");
    let reply = call(&engine, "analyst", "select", none).await.unwrap();
    assert_eq!((rows(&reply).len(), &reply["count"]), (0, &json!(20)));

    // Bytes: each row is seen once, and no reply is larger.
    let seen = pages(&engine, "select", json!({"table": "wide"}), 8).await;
    assert_eq!(
        seen.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(),
        (1..=20).collect::<Vec<_>>()
    );
    let reply =
        call(&engine, "analyst", "select", json!({"table": "wide", "limit": 8})).await.unwrap();
    assert!(reply["rows"].to_string().len() <= 2_500);
    assert!((5..8).contains(&rows(&reply).len()), "{}", rows(&reply).len());
    let text = json!({"table": "wide", "limit": 8, "format": "text"});
    let reply = call(&engine, "analyst", "select", text).await.unwrap();
    assert!(reply["next_cursor"].is_string() && reply["text"].as_str().unwrap().len() < 2_500);

    database.sql("INSERT INTO wide VALUES (0, repeat('x', 3000))").await;
    let error = call(&engine, "analyst", "select", json!({"table": "wide"})).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.get_at()), ("limit_exceeded", Some("/columns")));
    assert!(error.get_hint().is_some());
}

#[tokio::test]
async fn counts() {
    let database = Database::of(FIXTURE).await;
    database.sql("ANALYZE item").await;
    let engine = database.engine().await;
    let count = |how: &str, condition: Value| json!({"table": "item", "limit": 2, "count": how, "where": condition});
    let reply = call(&engine, "analyst", "select", count("exact", json!({"kind": "kind 1"})))
        .await
        .unwrap();
    assert_eq!(
        (&reply["count"], reply.get("count_estimated"), rows(&reply).len()),
        (&json!(15), None, 2)
    );
    let reply = call(&engine, "analyst", "select", count("estimated", json!({}))).await.unwrap();
    assert_eq!((&reply["count"], &reply["count_estimated"]), (&json!(60), &json!(true)));
    let estimated = count("estimated", json!({"kind": {"like": "kind%"}, "size": {"in": [1, 2]}}));
    assert!(call(&engine, "analyst", "select", estimated).await.unwrap()["count"].is_u64());
    // The count is of the whole, whichever page it comes with.
    let mut second = count("exact", json!({}));
    second["cursor"] =
        call(&engine, "analyst", "select", second.clone()).await.unwrap()["next_cursor"].clone();
    let reply = call(&engine, "analyst", "select", second).await.unwrap();
    assert_eq!(reply["count"], 60);
}

#[tokio::test]
async fn formats_and_versions() {
    let database = Database::of(
        "CREATE TABLE plain (id integer PRIMARY KEY, name text);
         CREATE TABLE counted (id integer PRIMARY KEY, name text, version integer NOT NULL DEFAULT 7);
         CREATE VIEW seen AS SELECT * FROM plain;
         INSERT INTO plain VALUES (1, E'a|b\\nc'), (2, NULL);
         INSERT INTO counted VALUES (1, 'x');",
    )
    .await;
    let engine = database.engine().await;
    let select =
        |table: &str, format: &str| json!({"table": table, "with_version": true, "format": format});
    let reply = call(&engine, "analyst", "select", select("plain", "columns")).await.unwrap();
    assert_eq!(reply["columns"], json!(["id", "name", "_version"]));
    let version = database.value("SELECT xmin::text FROM plain LIMIT 1").await.unwrap();
    assert_eq!(rows(&reply), [json!([1, "a|b\nc", version]), json!([2, null, version])]);
    let reply = call(&engine, "analyst", "select", select("plain", "text")).await.unwrap();
    let expected = format!("id | name | _version\n1 | a\\|b\\nc | {version}\n2 |  | {version}");
    assert_eq!((&reply["text"], reply.get("rows")), (&json!(expected), None));
    // One row a line, and what a column holds never looks like another column, nor null like an empty text.
    database
        .sql("CREATE TABLE odd (\"a|b\" text PRIMARY KEY, list text[]); INSERT INTO odd VALUES (E'\\\\n\\r', '{a|b}'), ('', NULL)")
        .await;
    let other = database.engine().await;
    let arguments = json!({"table": "odd", "format": "text", "order_by": ["-a|b"]});
    let reply = call(&other, "analyst", "select", arguments).await.unwrap();
    assert_eq!(reply["text"], "a\\|b | list\n\\\\n\\r | [\"a\\u007cb\"]\n\"\" | ");
    let reply = call(&engine, "analyst", "select", select("counted", "json")).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 1, "name": "x", "version": 7, "_version": "7"})]);
    let answer = refused(&engine, "select", select("seen", "json")).await;
    assert_eq!(answer, ("invalid_value".to_owned(), "/with_version".to_owned()));
    let twice = json!({"table": "plain", "columns": ["name", "id", "name"], "where": {"id": 1}, "format": "columns"});
    let reply = call(&engine, "analyst", "select", twice).await.unwrap();
    assert_eq!(reply["columns"], json!(["name", "id"]));
}

#[tokio::test]
async fn a_row_that_is_too_large_is_reported_with_its_largest_part() {
    let database = Database::of(
        "CREATE TABLE parent (id integer PRIMARY KEY, small text, large text);
         CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent, text text);
         INSERT INTO parent VALUES (1, 'a', repeat('x', 3000)), (2, 'a', repeat('x', 300000));
         INSERT INTO child SELECT n, 1, repeat('y', 5000) FROM generate_series(1, 100) n;",
    )
    .await;
    let engine = database.engine().await;
    for (id, at, named) in [(1, "/include/child", "child"), (2, "/columns", "large")] {
        let one = json!({"table": "parent", "where": {"id": id}, "include": {"child": true}});
        let told = error(&engine, "analyst", "select", one).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("limit_exceeded"), &json!(at)), "{told}");
        assert!(told["hint"].as_str().unwrap().ends_with(named), "{told}");
    }
}

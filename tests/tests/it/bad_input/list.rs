//! Values in lists.

use mcp_pg_tests::{Database, call, error};
use serde_json::{Value, json};

/// Values that PostgreSQL alone can refuse, in each place of a list.
#[tokio::test]
async fn values_of_types_that_postgresql_reads_are_refused_at_their_place() {
    for (data_type, one, two, wrong) in [
        ("inet", "'1.1.1.1'", "'1.1.1.2'", "x"),
        ("cidr", "'1.1.0.0/16'", "'1.2.0.0/16'", "1.2.3.4/8"),
        ("macaddr", "'08:00:2b:01:02:03'", "'08:00:2b:01:02:04'", "x"),
        ("money", "1", "2", "x"),
        ("interval", "'1 day'", "'2 days'", "x"),
        ("integer[]", "'{1}'", "'{2}'", "{x}"),
        ("interval[]", "'{1 day}'", "'{2 days}'", "{\"x\"}"),
    ] {
        let database = Database::of(&format!(
            "CREATE TABLE k (id integer PRIMARY KEY, v {data_type}, key {data_type} UNIQUE, n integer);
             INSERT INTO k VALUES (1, {one}, {one}), (2, {one}, {two});"
        ))
        .await;
        let engine = database.engine().await;
        let keys = database.value("SELECT json_agg(key::text ORDER BY id)::text FROM k").await;
        let keys: Vec<String> = serde_json::from_str(&keys.unwrap()).unwrap();
        let (first, wrong) = (json!({"key": keys[0], "n": 1}), json!(wrong));
        let update =
            |updates: Value| ("update", json!({"table": "k", "where": {}, "updates": updates}));
        let upsert = |data: Value, dry_run: bool| {
            let conflict = json!({"columns": ["key"], "do": "update"});
            (
                "insert",
                json!({"table": "k", "data": data, "on_conflict": conflict, "dry_run": dry_run}),
            )
        };
        for ((tool, arguments), at) in [
            (update(json!([{"id": 1, "v": wrong}])), "/updates/0/v"),
            (update(json!([{"id": 1, "v": keys[0]}, {"id": 2, "v": wrong}])), "/updates/1/v"),
            (update(json!([{"key": wrong, "n": 1}])), "/updates/0/key"),
            (update(json!([first, {"key": wrong, "n": 1}])), "/updates/1/key"),
            (upsert(json!([{"id": 3, "key": wrong}]), true), "/data/0/key"),
            (
                upsert(json!([{"id": 3, "key": keys[0]}, {"id": 4, "key": wrong}]), true),
                "/data/1/key",
            ),
            (
                upsert(json!([{"id": 3, "key": keys[0]}, {"id": 4, "key": wrong}]), false),
                "/data/1/key",
            ),
        ] {
            let told = error(&engine, "admin", tool, arguments.clone()).await;
            assert_eq!(
                (&told["code"], &told["at"]),
                (&json!("invalid_value"), &json!(at)),
                "{arguments} {told}"
            );
            assert!(!told.to_string().contains("policy"), "{arguments} {told}");
        }
        let (tool, both) = update(json!([first, {"key": keys[1], "n": 2}]));
        let reply = call(&engine, "admin", tool, both).await.unwrap();
        assert_eq!(reply["row_count"], 2, "{data_type}: {reply}");
        let (tool, only) = update(json!([{"key": keys[1], "v": keys[0]}]));
        let reply = call(&engine, "admin", tool, only).await.unwrap();
        assert_eq!(reply["row_count"], 1, "{data_type}: {reply}");
    }
}

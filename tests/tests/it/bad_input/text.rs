//! Texts that are SQL, hold NUL, or cost much.

use std::time::Duration;

use mcp_pg_core::Settings;
use mcp_pg_tests::{Database, call, refused, rows};
use serde_json::json;

use super::RULES;

#[tokio::test]
async fn sql_is_data() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let evil = "x'); DROP TABLE users; --";
    for (tool, arguments, code) in [
        ("select", json!({"table": "users; DROP TABLE users"}), "unknown_table"),
        ("select", json!({"table": "users\"; DROP TABLE users; --"}), "unknown_table"),
        ("select", json!({"table": "users", "columns": ["name FROM users; --"]}), "unknown_column"),
        ("select", json!({"table": "users", "columns": ["*", "count(*)"]}), "unknown_column"),
        ("select", json!({"table": "users", "where": {"name' OR 1=1 --": 1}}), "unknown_column"),
        (
            "select",
            json!({"table": "users", "where": {"name": {"= '' OR true --": 1}}}),
            "unknown_operator",
        ),
        (
            "select",
            json!({"table": "users", "order_by": ["name; DROP TABLE users"]}),
            "unknown_column",
        ),
        ("select", json!({"table": "users", "limit": "1; DROP TABLE users"}), "invalid_value"),
        (
            "insert",
            json!({"table": "users", "data": {"name) VALUES (1); --": 1}}),
            "unknown_column",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": "1 OR true"}, "updates": {"name": "X"}}),
            "invalid_value",
        ),
        (
            "update",
            json!({"table": "products", "where": {"product_id": 1}, "updates": {"price": {"$increment": "1; DROP"}}}),
            "invalid_value",
        ),
        (
            "delete",
            json!({"table": "users", "where": {"user_id": {"in": ["1) OR (1=1"]}}}),
            "invalid_value",
        ),
    ] {
        assert_eq!(refused(&engine, tool, arguments.clone()).await.0, code, "{arguments}");
    }
    let update = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": evil}});
    assert_eq!(rows(&call(&engine, "admin", "update", update).await.unwrap())[0]["name"], evil);
    let found = json!({"table": "users", "where": {"name": {"contains": "'); DROP"}}});
    assert_eq!(call(&engine, "admin", "select", found).await.unwrap()["row_count"], 1);
    let none = json!({"table": "users", "where": {"name": "' OR '1'='1"}});
    assert_eq!(call(&engine, "admin", "select", none).await.unwrap()["row_count"], 0);
    assert_eq!(database.value("SELECT count(*)::text FROM users").await.unwrap(), "10");
}

#[tokio::test]
async fn nul_is_no_text() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    for (tool, arguments, code, at) in [
        ("select", json!({"table": "ru\0les"}), "unknown_table", "/table"),
        ("select", json!({"table": "rules", "columns": ["\0"]}), "unknown_column", "/columns/0"),
        (
            "select",
            json!({"table": "rules", "where": {"code": "a\0"}}),
            "invalid_value",
            "/where/code",
        ),
        (
            "select",
            json!({"table": "rules", "where": {"code": {"contains": "\0"}}}),
            "invalid_value",
            "/where/code/contains",
        ),
        (
            "select",
            json!({"table": "rules", "where": {"code": {"in": ["a", "\0"]}}}),
            "invalid_value",
            "/where/code/in/1",
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "full_name": "a\0b"}}),
            "invalid_value",
            "/data/full_name",
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "meta": {"k": "a\0b"}}}),
            "invalid_value",
            "/data/meta/k",
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "meta": {"k\0": 1}}}),
            "invalid_value",
            "/data/meta",
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "tags": ["a", "\0"]}}),
            "invalid_value",
            "/data/tags/1",
        ),
        (
            "update",
            json!({"table": "rules", "where": {"id": 1}, "updates": {"full_name": "\0"}}),
            "invalid_value",
            "/updates/full_name",
        ),
    ] {
        let found = refused(&engine, tool, arguments.clone()).await;
        assert_eq!(found.0, code, "{arguments} {found:?}");
        assert!(found.1.starts_with(at), "{arguments} {found:?}");
    }
    assert_eq!(database.value("SELECT count(*)::text FROM rules").await.unwrap(), "1");
}

#[tokio::test]
async fn an_expensive_pattern_is_stopped() {
    let database = Database::of(
        "CREATE TABLE texts (id integer PRIMARY KEY, body text);
         INSERT INTO texts SELECT n, repeat('a', 5000) || n FROM generate_series(1, 20) n;",
    )
    .await;
    let mut settings = Settings::default();
    // What the role may do takes no longer; reading the schema may, on a busy machine.
    for role in settings.roles.iter_mut().filter(|role| role.name == "admin") {
        role.limits.statement_timeout = Some(Duration::from_secs(3));
    }
    let engine = database.engine_with(settings).await;
    let broken = json!({"table": "texts", "where": {"body": {"matches": "(unclosed"}}});
    assert_eq!(
        refused(&engine, "select", broken).await,
        ("invalid_value".into(), "/where/body/matches".into())
    );
    // References back make PostgreSQL try every division of a text: minutes, not milliseconds.
    let pattern = r"^(.*)(.*)(.*)\2\1\3[0-9]y?$";
    let slow = json!({"table": "texts", "where": {"body": {"matches": pattern}}});
    assert_eq!(refused(&engine, "select", slow).await.0, "timeout");
    let good = json!({"table": "texts", "where": {"id": 1}, "columns": ["id"]});
    assert_eq!(call(&engine, "admin", "select", good).await.unwrap()["row_count"], 1);
}

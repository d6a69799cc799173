//! Names that nothing has.

use mcp_pg_tests::{Database, error, refused};
use serde_json::json;

#[tokio::test]
async fn unknown_names_get_the_nearest() {
    let engine = Database::shop().await.engine().await;
    for (tool, arguments, code, at, meant) in [
        ("select", json!({"table": "usres"}), "unknown_table", "/table", "users"),
        ("select", json!({"table": "public.usres"}), "unknown_table", "/table", "public.users"),
        (
            "select",
            json!({"table": "users", "columns": ["nmae"]}),
            "unknown_column",
            "/columns/0",
            "name",
        ),
        (
            "select",
            json!({"table": "users", "where": {"emial": "x"}}),
            "unknown_column",
            "/where/emial",
            "email",
        ),
        (
            "select",
            json!({"table": "users", "where": {"or": [{"column": "emial", "eq": "x"}]}}),
            "unknown_column",
            "/where/or/0/column",
            "email",
        ),
        (
            "select",
            json!({"table": "users", "where": {"name": {"ilkie": "x"}}}),
            "unknown_operator",
            "/where/name/ilkie",
            "ilike",
        ),
        (
            "select",
            json!({"table": "users", "ordr_by": ["name"]}),
            "unknown_argument",
            "/ordr_by",
            "order_by",
        ),
        (
            "insert",
            json!({"table": "users", "data": [{"emial": "x"}]}),
            "unknown_column",
            "/data/0/emial",
            "email",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "update": {}}),
            "unknown_argument",
            "/update",
            "updates",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"nmae": 1}}),
            "unknown_column",
            "/updates/nmae",
            "name",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}, "returning": ["nmae"]}),
            "unknown_column",
            "/returning/0",
            "name",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": {"$apend": "X"}}}),
            "unknown_operator",
            "/updates/name/$apend",
            "$append",
        ),
    ] {
        let reply = error(&engine, "admin", tool, arguments.clone()).await;
        assert_eq!(
            (&reply["code"], &reply["at"]),
            (&json!(code), &json!(at)),
            "{arguments} {reply}"
        );
        assert_eq!(reply["did_you_mean"], meant, "{reply}");
    }
    assert_eq!(refused(&engine, "drop_table", json!({})).await.0, "unknown_argument");
}

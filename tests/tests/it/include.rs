//! include, and sort keys and conditions on related rows.

use mcp_pg_tests::{Database, call, refused, rows};
use serde_json::json;

#[tokio::test]
async fn related_rows_come_with_each_row_to_any_depth() {
    let engine = Database::shop().await.engine().await;
    let reply = call(
        &engine,
        "analyst",
        "select",
        json!({
            "table": "orders",
            "columns": ["order_id", "status"],
            "where": {"user": {"name": {"ne": ""}}, "order_items": {"some": {"quantity": {"gte": 1}}}},
            "include": {
                "user": {"columns": ["email"]},
                "order_items": {
                    "columns": ["quantity"],
                    "limit": 1,
                    "include": {"product": {"columns": ["sku", "price", "tags"]}},
                },
                "payments": {"count": true},
            },
            "order_by": ["-user.name", "order_id"],
            "limit": 3,
        }),
    )
    .await
    .unwrap();
    let first = &rows(&reply)[0];
    assert!(first["user"]["email"].is_string(), "{first}");
    assert!(first["order_items"][0]["product"]["sku"].is_string(), "{first}");
    assert!(first["payments"].is_number(), "{first}");
    assert_eq!(
        refused(&engine, "select", json!({"table": "orders", "include": {"users": true}})).await,
        ("unknown_relation".into(), "/include/users".into())
    );
}

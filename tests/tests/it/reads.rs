//! select, list_tables, describe_table.

use mcp_pg_tests::{Database, call, refused, rows};
use serde_json::json;

#[tokio::test]
async fn a_select_returns_the_rows_that_meet_where() {
    let engine = Database::shop().await.engine().await;
    let reply = call(
        &engine,
        "analyst",
        "select",
        json!({"table": "users", "columns": ["user_id", "email"], "where": {"user_id": {"in": [1, 2]}}}),
    )
    .await
    .unwrap();
    assert_eq!(rows(&reply).len(), 2, "{reply}");
    assert_eq!(reply["truncated"], false);
    assert_eq!(reply["table"], "public.users");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let engine = Database::shop().await.engine().await;
    let whole =
        json!({"table": "orders", "columns": ["order_id"], "order_by": ["-status", "created_at"]});
    let all = call(&engine, "analyst", "select", whole.clone()).await.unwrap();
    let mut paged = Vec::new();
    let mut arguments = whole;
    arguments["limit"] = json!(7);
    loop {
        let reply = call(&engine, "analyst", "select", arguments.clone()).await.unwrap();
        paged.extend(rows(&reply).to_vec());
        match &reply["next_cursor"] {
            serde_json::Value::Null => break,
            cursor => arguments["cursor"] = cursor.clone(),
        }
    }
    assert_eq!(paged, rows(&all));
    let foreign = json!({"table": "users", "cursor": arguments["cursor"]});
    assert_eq!(refused(&engine, "select", foreign).await.0, "invalid_cursor");
}

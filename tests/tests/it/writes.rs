//! insert, update, archive, restore, delete, transaction.

use mcp_pg_tests::{Database, call, rows};
use serde_json::json;

#[tokio::test]
async fn a_user_and_its_preferences_are_created_together_archived_and_restored() {
    let engine = Database::shop().await.engine().await;
    let reply = call(
        &engine,
        "operator",
        "transaction",
        json!({"operations": [
            {"operation": "insert", "as": "user", "table": "users",
             "data": {"email": "new.user@example.com", "name": "Ada", "country": "GB"}},
            {"operation": "insert", "table": "user_preferences",
             "data": {"user_id": {"$ref": "user.user_id"}}},
        ]}),
    )
    .await
    .unwrap();
    assert_eq!(reply["committed"], true, "{reply}");
    let id = reply["results"][0]["rows"][0]["user_id"].clone();
    assert_eq!(reply["results"][1]["rows"][0]["user_id"], id);

    let one = json!({"table": "users", "where": {"user_id": id}});
    call(&engine, "operator", "archive", one.clone()).await.unwrap();
    let gone = call(&engine, "operator", "select", one.clone()).await.unwrap();
    assert!(rows(&gone).is_empty());
    call(&engine, "operator", "restore", one.clone()).await.unwrap();
    let back = call(&engine, "operator", "select", one).await.unwrap();
    assert_eq!(rows(&back).len(), 1);
}

//! Members of records: what is whose, and where a call came from.

use mcp_pg_core::{Origin, Principal, Settings};
use mcp_pg_tests::{Database, call, object};
use serde_json::{Value, json};

use super::Log;

#[tokio::test]
async fn the_record_of_a_transaction_tells_whose_the_rows_are() {
    let pair = "CREATE TABLE a (id integer PRIMARY KEY, v integer); INSERT INTO a VALUES (1, 1), (2, 2), (3, 3);
        CREATE TABLE b (id integer PRIMARY KEY, v integer); INSERT INTO b VALUES (1, 1), (2, 2), (3, 3);";
    let database = Database::of(pair).await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    let update = |table: &str, condition: Value| json!({"operation": "update", "table": table, "where": {"v": condition}, "max_rows": 9, "updates": {"v": 9}});
    let operations = json!([
        update("a", json!({"gt": 1})),
        {"operation": "select", "table": "a"},
        update("b", json!({"lt": 2})),
        {"operation": "delete", "table": "b", "where": {"id": 3}},
    ]);
    call(&engine, "admin", "transaction", json!({ "operations": operations })).await.unwrap();
    let dry = json!({"operations": [{"operation": "delete", "table": "b", "where": {"id": 2}}], "dry_run": true});
    call(&engine, "admin", "transaction", dry).await.unwrap();
    let records = log.records(&engine).await;
    let ids = |image: &str| {
        let rows = records[1][image].as_array().unwrap().iter();
        Vec::from_iter(rows.map(|row| row["id"].as_i64().unwrap()))
    };
    assert_eq!((ids("before"), ids("after")), (vec![2, 3, 1, 3], vec![2, 3, 1]));
    for record in &records[..2] {
        assert_eq!(
            record["operations"],
            json!([
                {"at": "/operations/0", "operation": "update", "table": "public.a", "rows": 2, "before": 2, "after": 2},
                {"at": "/operations/2", "operation": "update", "table": "public.b", "rows": 1, "before": 1, "after": 1},
                {"at": "/operations/3", "operation": "delete", "table": "public.b", "rows": 1, "before": 1, "after": 0},
            ])
        );
    }
    assert_eq!(records[2].get("operations"), None, "{records:?}");
}

/// In calls that a library makes without saying whence.
#[tokio::test]
async fn the_default_origin_is_the_library() {
    let database = Database::of("CREATE TABLE t (id integer PRIMARY KEY)").await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    let caller = Principal::new("ann", "analyst");
    let arguments = object(json!({"table": "t"}));
    engine.call(&caller, &Origin::default(), "select", arguments).await.unwrap();
    assert_eq!(log.records(&engine).await[0]["transport"], "library");
}

//! select with `distinct`.

use mcp_pg_core::Engine;
use mcp_pg_core::policy::{Action, Mask, Role};
use mcp_pg_tests::{Database, call, pages, refused, rows};
use serde_json::{Value, json};

const VISITS: &str = "
    CREATE TABLE visits (id integer PRIMARY KEY, city text, day date, kind json, person text);
    INSERT INTO visits SELECT i, (ARRAY['Paris', 'Lyon', NULL])[1 + i % 3],
        '2024-01-01'::date + i % 2, '{}', 'p' || i FROM generate_series(1, 30) i;";

async fn select(engine: &Engine, arguments: Value) -> Value {
    call(engine, "admin", "select", arguments).await.unwrap()
}

#[tokio::test]
async fn each_combination_comes_once_and_in_order() {
    let engine = Database::of(VISITS).await.engine().await;
    let arguments = json!({"table": "visits", "columns": ["city"], "distinct": true,
        "order_by": [{"column": "city", "direction": "desc", "nulls": "last"}], "count": "exact"});
    let reply = select(&engine, arguments).await;
    assert_eq!(
        rows(&reply),
        [json!({"city": "Paris"}), json!({"city": "Lyon"}), json!({"city": null})]
    );
    assert_eq!(reply["count"], 3);
    let arguments = json!({"table": "visits", "columns": ["day", "city"], "distinct": true,
        "where": {"city": {"is_null": false}, "id": {"lte": 6}}, "order_by": ["-day"], "format": "columns"});
    let reply = select(&engine, arguments).await;
    assert_eq!(
        reply["rows"],
        json!([
            ["2024-01-02", "Paris"],
            ["2024-01-02", "Lyon"],
            ["2024-01-01", "Paris"],
            ["2024-01-01", "Lyon"]
        ])
    );
}

#[tokio::test]
async fn pages_of_distinct_rows_follow_each_other() {
    let engine = Database::of(VISITS).await.engine().await;
    let whole = json!({"table": "visits", "columns": ["city", "day"], "distinct": true, "order_by": ["-city"]});
    let all = rows(&select(&engine, whole.clone()).await).to_vec();
    assert_eq!(all.len(), 6);
    assert_eq!(pages(&engine, "select", whole, 1).await, all);
    // A cursor is good for its own columns alone.
    let cursor = select(
        &engine,
        json!({"table": "visits", "columns": ["city"], "distinct": true, "limit": 1}),
    )
    .await["next_cursor"]
        .clone();
    let other = json!({"table": "visits", "columns": ["city"], "cursor": cursor});
    assert_eq!(refused(&engine, "select", other).await.0, "invalid_cursor");
}

#[tokio::test]
async fn arguments_that_distinct_excludes_are_refused() {
    let engine = Database::of(VISITS).await.engine().await;
    for (more, code, at) in [
        (json!({"columns": ["city"], "order_by": ["id"]}), "unknown_column", "/order_by/0"),
        // Related rows are no part of what such rows are sorted by.
        (json!({"columns": ["city"], "order_by": ["id.x"]}), "unknown_column", "/order_by/0"),
        (json!({"columns": ["city", "kind"]}), "invalid_value", "/columns"),
        (json!({"columns": []}), "missing_value", "/columns"),
        (json!({"columns": ["town"]}), "unknown_column", "/columns/0"),
        (json!({"columns": ["city"], "with_version": true}), "invalid_value", "/with_version"),
        (json!({"columns": ["city"], "include": {"x": true}}), "invalid_value", "/include"),
    ] {
        let mut arguments = json!({"table": "visits", "distinct": true});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let found = refused(&engine, "select", arguments.clone()).await;
        assert_eq!(found, (code.into(), at.into()), "{arguments}");
    }
}

#[tokio::test]
async fn masked_columns_are_not_told_apart() {
    let database = Database::of(VISITS).await;
    let mut role = Role::everywhere("admin", Action::ALL);
    role.grants[0].columns.mask.insert("person".into(), Mask::Full);
    let settings = mcp_pg_core::Settings { roles: vec![role], ..mcp_pg_core::Settings::default() };
    let engine = database.engine_with(settings).await;
    let arguments = json!({"table": "visits", "columns": ["person"], "distinct": true});
    assert_eq!(refused(&engine, "select", arguments).await.0, "forbidden");
}

#[tokio::test]
async fn a_transaction_and_a_plan_take_them_too() {
    let engine = Database::of(VISITS).await.engine().await;
    let step = json!({"operation": "select", "table": "visits", "columns": ["city"], "distinct": true,
        "order_by": ["city"]});
    let reply = call(&engine, "admin", "transaction", json!({"operations": [step]})).await.unwrap();
    assert_eq!(reply["results"][0]["row_count"], 3, "{reply}");
    let plan = call(&engine, "admin", "explain", step).await.unwrap();
    assert!(plan["estimated_rows"].is_number(), "{plan}");
}

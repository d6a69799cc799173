//! Requests that are too deep, or too much.

use mcp_pg_tests::Database;
use serde_json::{Value, json};

use super::{FIXTURE, answer, assert_silent, caller, dump, start};

#[tokio::test]
async fn what_is_too_deep_or_too_much_is_refused() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let before = dump(&database).await;
    let caller = caller("agent");
    let nested = |depth: usize, make: fn(Value) -> Value| {
        (0..depth).fold(json!({"id": 1}), |inner, _| make(inner))
    };
    let many = |count: usize| (0..count).map(|i| json!({"id": i})).collect::<Vec<_>>();
    for (tool, arguments) in [
        ("select", json!({"table": "client", "where": nested(250, |inner| json!({"not": inner}))})),
        (
            "select",
            json!({"table": "client", "where": nested(100, |inner| json!({"and": [inner]}))}),
        ),
        ("select", json!({"table": "client", "where": {"or": many(5_000)}})),
        (
            "select",
            json!({"table": "client", "where": {"id": {"in": (0..200_000).collect::<Vec<_>>()}}}),
        ),
        ("select", json!({"table": "client", "where": {"name": {"like": "%a".repeat(10_000)}}})),
        (
            "select",
            json!({"table": "client", "where": {"name": {"matches": "(a+)+".repeat(2_000)}}}),
        ),
        (
            "select",
            json!({"table": "client", "where": {"meta": {"contains": nested(250, |inner| json!([inner]))}}}),
        ),
        (
            "select",
            json!({"table": "client", "include": nested(60, |inner| json!({"note": {"include": {"client": {"include": inner}}}}))}),
        ),
        ("insert", json!({"table": "client", "data": many(50_000), "dry_run": true})),
        (
            "insert",
            json!({"table": "client", "data": {"id": 9, "meta": nested(250, |inner| json!([inner]))}, "dry_run": true}),
        ),
        (
            "transaction",
            json!({"dry_run": true, "operations":
            vec![json!({"operation": "select", "table": "client"}); 5_000]}),
        ),
    ] {
        let told = answer(&engine, &caller, tool, arguments).await;
        assert!(told.contains("\"code\":\"limit_exceeded\""), "{tool}: {told}");
        assert_silent(&told, tool);
    }
    assert_eq!(dump(&database).await, before);
}

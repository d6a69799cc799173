//! Values that are deep or large.

use mcp_pg_tests::{Database, call, refused, rows};
use serde_json::{Value, json};

use super::RULES;

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[tokio::test]
async fn deeply_nested_values() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    let deep = nested(1_000);
    for (tool, arguments, at) in [
        ("insert", json!({"table": "rules", "data": {"id": 5, "meta": deep}}), "/data"),
        ("insert", json!({"table": "rules", "data": deep}), "/data"),
        ("select", json!({"table": "rules", "where": {"tags": deep}}), "/where"),
        ("select", json!({"table": deep}), "/table"),
        ("transaction", json!({"operations": deep}), "/operations"),
    ] {
        assert_eq!(refused(&engine, tool, arguments).await, ("limit_exceeded".into(), at.into()));
    }
    let deep = nested(100);
    for (tool, arguments, codes) in [
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "tags": deep}}),
            ["invalid_value", "limit_exceeded"],
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "a": deep}}),
            ["invalid_value", "invalid_value"],
        ),
        ("insert", json!({"table": "rules", "data": deep}), ["invalid_value", "invalid_value"]),
        (
            "select",
            json!({"table": "rules", "where": {"tags": deep}}),
            ["invalid_value", "limit_exceeded"],
        ),
        (
            "select",
            json!({"table": "rules", "where": {"and": deep}}),
            ["invalid_value", "limit_exceeded"],
        ),
        ("select", json!({"table": "rules", "order_by": deep}), ["invalid_value", "invalid_value"]),
        ("transaction", json!({"operations": deep}), ["invalid_value", "invalid_value"]),
    ] {
        let (code, at) = refused(&engine, tool, arguments).await;
        assert!(codes.contains(&code.as_str()), "{tool} {code} {at}");
        assert!(at.len() < 300, "{tool} {at}");
    }
    let conditions = (0..100).fold(json!({"id": 1}), |inner, _| json!({"not": inner}));
    let arguments = json!({"table": "rules", "where": conditions});
    assert_eq!(refused(&engine, "select", arguments).await.0, "limit_exceeded");
    let json = json!({"table": "rules", "data": {"id": 5, "meta": deep}, "returning": ["meta"]});
    let reply = call(&engine, "admin", "insert", json).await.unwrap();
    assert_eq!(rows(&reply)[0]["meta"], deep);
}

#[tokio::test]
async fn large_values() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    let large = "x".repeat(10_000_000);
    let insert =
        json!({"table": "rules", "data": {"id": 5, "full_name": large}, "returning": ["id"]});
    let reply = call(&engine, "admin", "insert", insert).await.unwrap();
    assert_eq!(reply["rows"], json!([{"id": 5}]));
    let length = database.value("SELECT length(full_name)::text FROM rules WHERE id = 5").await;
    assert_eq!(length.unwrap(), "10000000");
    // It can be asked for, but not sent.
    let read = json!({"table": "rules", "where": {"id": 5}});
    assert_eq!(
        refused(&engine, "select", read).await,
        ("limit_exceeded".into(), "/columns".into())
    );
    let update =
        json!({"table": "rules", "where": {"id": 5}, "updates": {"full_name": {"$append": "y"}}});
    let reply = call(&engine, "admin", "update", update).await.unwrap();
    assert_eq!((&reply["row_count"], &reply["truncated"]), (&json!(1), &json!(true)));
    for (arguments, code) in [
        (json!({"table": "rules", "where": {"full_name": {"like": large}}}), "limit_exceeded"),
        (json!({"table": large}), "unknown_table"),
        (json!({"table": "rules", "columns": [large]}), "unknown_column"),
        (json!({"table": "rules", "where": {"id": {"in": vec![1; 100_000]}}}), "limit_exceeded"),
        (json!({"table": "rules", "where": {"a": large}}), "invalid_value"),
        (json!({"table": "rules", "where": {"mood": large}}), "invalid_value"),
    ] {
        let error = call(&engine, "admin", "select", arguments).await.unwrap_err();
        assert_eq!(error.code().as_str(), code);
        assert!(error.message().len() < 1_000, "{}", error.message().len());
    }
    let delete = json!({"table": "rules", "where": {"id": 5}, "returning": ["id"]});
    assert_eq!(call(&engine, "admin", "delete", delete).await.unwrap()["row_count"], 1);
}

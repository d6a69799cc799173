//! Masked values.

use mcp_pg_tests::{Database, call_as, rows};
use serde_json::json;

use super::{FIXTURE, ada, engine};

#[tokio::test]
async fn masked_values_are_shown_and_no_more() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let caller = ada();
    let select =
        json!({"table": "person", "columns": ["email", "phone"], "order_by": ["person_id"]});
    let reply = call_as(&engine, &caller, "select", select).await.unwrap();
    assert_eq!(
        rows(&reply),
        [
            json!({"email": "a***@example.com", "phone": "***5678"}),
            json!({"email": "b***@example.com", "phone": null}),
        ]
    );
    for arguments in [
        json!({"table": "person", "where": {"email": "ada@example.com"}}),
        json!({"table": "person", "where": {"email": null}}),
        json!({"table": "person", "order_by": ["-phone"]}),
        json!({"table": "note", "where": {"person": {"email": {"like": "a%"}}}}),
        json!({"table": "note", "order_by": ["person.phone"]}),
    ] {
        let error = call_as(&engine, &caller, "select", arguments.clone()).await.unwrap_err();
        assert_eq!(error.code().as_str(), "forbidden", "{arguments}");
    }
    for arguments in [
        json!({"table": "person", "measures": {"n": {"max": "email"}}}),
        json!({"table": "person", "measures": {"n": {"count_distinct": "email"}}}),
        json!({"table": "person", "measures": {"n": {"count": "*"}}, "group_by": ["phone"]}),
    ] {
        let error = call_as(&engine, &caller, "aggregate", arguments.clone()).await.unwrap_err();
        assert_eq!(error.code().as_str(), "forbidden", "{arguments}");
    }
    let included = json!({"table": "note", "columns": ["note_id"], "include": {"person": {"columns": ["email"]}}});
    let reply = call_as(&engine, &caller, "select", included).await.unwrap();
    assert_eq!(rows(&reply)[0]["person"], json!({"email": "a***@example.com"}));
    let update = json!({"table": "person", "where": {"person_id": 1}, "updates": {"name": "Ada"}, "returning": ["email"]});
    let reply = call_as(&engine, &caller, "update", update).await.unwrap();
    assert_eq!(rows(&reply), [json!({"email": "a***@example.com"})]);
}

//! Typed requests: the user's agreement, and where they come from.

use std::fs::read_to_string;
use std::sync::Arc;

use mcp_pg_core::audit::{Client, FileSink};
use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::request::Update;
use mcp_pg_core::{Agreement, Code, Origin, Principal, Reply, Request, Settings};
use mcp_pg_tests::{Database, object};
use serde_json::{Value, json};

use crate::program::file;

#[tokio::test]
async fn a_typed_request_is_agreed_to_and_says_where_it_comes_from() {
    let database = Database::shop().await;
    let mut role = Role::everywhere("careful", Action::ALL);
    role.confirm = [Action::Update].into_iter().collect();
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let log = file("");
    let sink = Arc::new(FileSink::open(&log).unwrap());
    let engine = database.engine_with(settings).await.audited(sink);
    let caller = Principal::new("ann", "careful");
    let client = Client { address: Some("198.51.100.7".into()), ..Client::default() };
    let origin = Origin { client, ..Origin::default() };
    let request = Request::Update(Update {
        table: "users".into(),
        filter: object(json!({"user_id": 1})),
        updates: json!({"name": "New"}),
        ..Update::default()
    });
    let refused = engine.handle_agreed(&caller, &origin, &request, None).await.unwrap_err();
    assert_eq!(refused.code(), Code::Forbidden);
    let agreed = Agreement { plan: refused.question().unwrap().plan.clone(), number: None };
    let reply = engine.handle_agreed(&caller, &origin, &request, Some(&agreed)).await.unwrap();
    let Reply::Rows(rows) = reply else { panic!("not rows") };
    assert_eq!(rows.row_count, 1);
    // It was for this row.
    let other = Request::Update(Update {
        table: "users".into(),
        filter: object(json!({"user_id": 2})),
        updates: json!({"name": "New"}),
        ..Update::default()
    });
    let refused = engine.handle_agreed(&caller, &origin, &other, Some(&agreed)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Forbidden);
    let names = database.value("SELECT string_agg(name, ',') FROM users WHERE name = 'New'").await;
    assert_eq!(names.as_deref(), Some("New"));
    engine.flush().await.unwrap();
    let records = read_to_string(log).unwrap();
    let records: Vec<Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.len() >= 3, "{records:?}");
    for record in records {
        assert_eq!(record["client"]["address"], "198.51.100.7", "{record}");
    }
}

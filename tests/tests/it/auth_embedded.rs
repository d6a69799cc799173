//! An embedding application's own authenticator, and credentials that change while the service runs.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use http::request::Parts;
use http_body_util::BodyExt as _;
use mcp_pg_core::{Code, Error, Principal};
use mcp_pg_server::auth::{ApiKey, Authenticator, Credentials, KeyHash, bearer, generate_key};
use mcp_pg_server::{McpService, ServiceOptions, service};
use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tower::ServiceExt as _;

async fn serve(database: &Database, authenticator: Arc<dyn Authenticator>) -> McpService {
    let options =
        ServiceOptions { authenticator: Some(authenticator), ..ServiceOptions::default() };
    service(Arc::new(database.engine().await), options)
}

/// Status and answer of a request for the user 1.
async fn ask(mcp: &McpService, token: &str) -> (u16, Value) {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "select",
        "arguments": {"table": "users", "columns": ["name"], "where": {"user_id": 1}}}});
    let request = http::Request::post("http://localhost/mcp")
        .header("Host", "localhost")
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
        .header("Authorization", format!("Bearer {token}"))
        .body(Body::from(call.to_string()))
        .unwrap();
    let answer = mcp.clone().oneshot(request).await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_closure_decides_who_calls() {
    let database = Database::shop().await;
    let authenticator = |request: &Parts| match bearer(request) {
        Some("of-ann") => Ok(Principal::new("ann", "analyst")),
        Some("of-bob") => Ok(Principal::new("bob", "no-such-role")),
        Some("of-eve") => Err(Error::new(Code::Forbidden, "not on \"Sundays\"")),
        Some("later") => Err(Error::new(Code::DatabaseUnavailable, "ask again")),
        _ => Err(Error::new(Code::Unauthenticated, "no such token")),
    };
    let mcp = serve(&database, Arc::new(authenticator)).await;
    let (status, answer) = ask(&mcp, "of-ann").await;
    assert_eq!(status, 200);
    assert_eq!(answer["result"]["structuredContent"]["rows"], json!([{"name": "Ada Marsh"}]));
    for (token, status, code) in [
        ("of-bob", 403, "forbidden"),
        ("of-eve", 403, "forbidden"),
        ("later", 503, "database_unavailable"),
        ("of-nobody", 401, "unauthenticated"),
    ] {
        let (given, answer) = ask(&mcp, token).await;
        assert_eq!((given, &answer["error"]["code"]), (status, &json!(code)), "{token}: {answer}");
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_from_the_next_request_on() {
    let database = Database::shop().await;
    let named = |name: &str, key: &str| ApiKey {
        name: name.into(),
        hash: KeyHash::new(key).unwrap(),
        role: "analyst".into(),
        claims: serde_json::Map::new(),
    };
    let (old, new) = (generate_key().unwrap(), generate_key().unwrap());
    let credentials =
        Arc::new(ArcSwap::from_pointee(Credentials::new(vec![named("old", &old)], None)));
    let mcp = serve(&database, credentials.clone()).await;
    assert_eq!((ask(&mcp, &old).await.0, ask(&mcp, &new).await.0), (200, 401));
    credentials.store(Arc::new(Credentials::new(vec![named("new", &new)], None)));
    assert_eq!((ask(&mcp, &old).await.0, ask(&mcp, &new).await.0), (401, 200));
}

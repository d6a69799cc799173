//! An embedding application's own authenticator, and credentials that change while the service runs.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::request::Parts;
use http_body_util::BodyExt as _;
use mcp_pg_core::audit::FileSink;
use mcp_pg_core::{Code, Error, Principal};
use mcp_pg_server::auth::{
    ApiKey, Authenticator, Credentials, KeyHash, ProtectedResource, bearer, generate_key,
};
use mcp_pg_server::{Limiter, McpService, RequestLimits, ServiceOptions, service};
use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tower::ServiceExt as _;

async fn serve(database: &Database, authenticator: Arc<dyn Authenticator>) -> McpService {
    let options =
        ServiceOptions { authenticator: Some(authenticator), ..ServiceOptions::default() };
    service(Arc::new(database.engine().await), options)
}

/// A request for the user 1.
fn request(token: &str) -> http::Request<Body> {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "select",
        "arguments": {"table": "users", "columns": ["name"], "where": {"user_id": 1}}}});
    http::Request::post("http://localhost/mcp")
        .header("Host", "localhost")
        .header("Content-Type", "application/json")
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-11-25")
        .header("Authorization", format!("Bearer {token}"))
        .body(Body::from(call.to_string()))
        .unwrap()
}

/// Status and answer of that request.
async fn ask(mcp: &McpService, token: &str) -> (u16, Value) {
    let answer = mcp.clone().oneshot(request(token)).await.unwrap();
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

/// As behind an application's middleware that was forgotten.
#[tokio::test]
async fn who_names_no_caller_is_told_how_to_authenticate() {
    let database = Database::shop().await;
    let resource = ProtectedResource {
        url: "https://shop.example.com/agents/mcp".into(),
        authorization_server: None,
    };
    let metadata = resource.metadata_path();
    assert_eq!(resource.metadata()["resource"], "https://shop.example.com/agents/mcp");
    let engine = Arc::new(database.engine().await);
    let options = ServiceOptions { resource: Some(resource), ..ServiceOptions::default() };
    let mcp = service(engine, options);
    let answer = mcp.clone().oneshot(request("of-nobody")).await.unwrap();
    assert_eq!(answer.status(), 401);
    let challenge = answer.headers()["www-authenticate"].to_str().unwrap();
    let wanted = format!("resource_metadata=\"https://shop.example.com{metadata}\"");
    assert!(challenge.contains(&wanted), "{challenge}");
    // The application's middleware has put one there.
    let mut known = request("of-ann");
    known.extensions_mut().insert(Principal::new("ann", "analyst"));
    assert_eq!(mcp.clone().oneshot(known).await.unwrap().status(), 200);
}

#[tokio::test]
async fn failures_are_limited_where_the_address_is_known() {
    let database = Database::shop().await;
    let limits = RequestLimits {
        failed_authentications_per_minute: NonZeroU32::new(2),
        ..RequestLimits::default()
    };
    let refuse = |_: &Parts| Err(Error::new(Code::Unauthenticated, "no such token"));
    let options = ServiceOptions {
        authenticator: Some(Arc::new(refuse)),
        limiter: Arc::new(Limiter::new(limits)),
        ..ServiceOptions::default()
    };
    let mcp = service(Arc::new(database.engine().await), options);
    for (known, expected) in [(false, [401, 401, 401]), (true, [401, 401, 429])] {
        for status in expected {
            let mut request = request("guess");
            if known {
                let address = ConnectInfo(SocketAddr::from(([192, 0, 2, 7], 4711)));
                request.extensions_mut().insert(address);
            }
            let answer = mcp.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{known}");
        }
    }
}

#[tokio::test]
async fn the_record_tells_whether_there_was_a_token() {
    let database = Database::shop().await;
    let file = crate::program::file("");
    let sink = Arc::new(FileSink::open(&file).unwrap());
    let engine = Arc::new(database.engine().await.audited(sink));
    let refuse = |_: &Parts| Err(Error::new(Code::Unauthenticated, "no such token"));
    let options =
        ServiceOptions { authenticator: Some(Arc::new(refuse)), ..ServiceOptions::default() };
    let mcp = service(engine.clone(), options);
    let mut basic = request("x");
    basic.headers_mut().insert("Authorization", "Basic eDp5".parse().unwrap());
    let mut without = request("x");
    without.headers_mut().remove("Authorization");
    for request in [request("x"), basic, without] {
        assert_eq!(mcp.clone().oneshot(request).await.unwrap().status(), 401);
    }
    engine.flush().await.unwrap();
    let kept = std::fs::read_to_string(&file).unwrap();
    let record = |line| serde_json::from_str::<Value>(line).unwrap();
    let methods = Vec::from_iter(kept.lines().map(|line| record(line)["actor"]["method"].clone()));
    assert_eq!(methods, ["bearer", "none", "none"]);
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

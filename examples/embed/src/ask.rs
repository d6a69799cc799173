//! What a browser and two agents would ask the application.

use std::error::Error;
use std::io::Write;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// Asks, without a network, and prints what comes back.
pub(crate) async fn ask(app: Router, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let page = Request::get("/orders/pending")
        .header(header::AUTHORIZATION, "Bearer of-the-report")
        .body(Body::empty())?;
    let (status, orders) = send(&app, page).await?;
    writeln!(out, "the page: {status}\n{orders:#}")?;

    for token in ["of-the-report", "of-the-warehouse"] {
        let (status, list) = send(&app, mcp(Some(token), "tools/list", json!({}))?).await?;
        let tools = list["result"]["tools"].as_array().map_or(&[][..], Vec::as_slice);
        let names: Vec<&str> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
        writeln!(out, "tools {token}: {status} {}", names.join(" "))?;
    }

    let stock = json!({"name": "update", "arguments": {
        "table": "inventory", "where": {"product_id": 1}, "updates": {"quantity": {"$increment": 10}},
        "returning": ["quantity", "available"]}});
    for token in [Some("of-the-warehouse"), Some("of-the-report"), None] {
        let (status, answer) = send(&app, mcp(token, "tools/call", stock.clone())?).await?;
        let told = answer.pointer("/result/structuredContent").unwrap_or(&Value::Null);
        writeln!(out, "more stock, {}: {status} {told}", token.unwrap_or("of nobody"))?;
    }
    Ok(())
}

/// An MCP request over HTTP.
fn mcp(
    token: Option<&str>,
    method: &str,
    params: Value,
) -> Result<Request<Body>, axum::http::Error> {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut request = Request::post("/mcp")
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json, text/event-stream");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(message.to_string().into())
}

async fn send(app: &Router, request: Request<Body>) -> Result<(StatusCode, Value), Box<dyn Error>> {
    let response = app.clone().oneshot(request).await?;
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await?;
    Ok((status, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

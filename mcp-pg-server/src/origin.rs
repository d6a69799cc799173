//! Which program is on the other side, as it says itself.

use axum::extract::ConnectInfo;
use http::header::USER_AGENT;
use http::request::Parts;
use mcp_pg_core::audit::Client;
use std::net::SocketAddr;

/// What the head of an HTTP request tells of its sender. `X-Forwarded-For` and its like are not read: anyone
/// can write them.
pub(crate) fn of_http(request: &Parts) -> Client {
    let agent = request.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    let address = request.extensions.get::<ConnectInfo<SocketAddr>>();
    Client {
        name: agent.map(str::to_owned),
        version: None,
        address: address.map(|ConnectInfo(address)| address.to_string()),
    }
}

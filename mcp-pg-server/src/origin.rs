//! Which program is on the other side, as it says itself.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::header::USER_AGENT;
use http::request::Parts;
use mcp_pg_core::audit::Client;

use crate::listener::Peer;

/// What the head of an HTTP request tells of its sender. `X-Forwarded-For` and its like are not read: anyone
/// can write them.
pub(crate) fn of_http(request: &Parts) -> Client {
    let agent = request.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    Client {
        name: agent.map(str::to_owned),
        version: None,
        address: address(request).map(SocketAddr::to_string),
    }
}

/// The other end of its connection.
pub(crate) fn address(request: &Parts) -> Option<&SocketAddr> {
    // An embedding application has its own listener, and may say whom that saw.
    let embedded = || request.extensions.get::<ConnectInfo<SocketAddr>>();
    request
        .extensions
        .get::<ConnectInfo<Peer>>()
        .map(|ConnectInfo(Peer(address))| address)
        .or_else(|| embedded().map(|ConnectInfo(address)| address))
}

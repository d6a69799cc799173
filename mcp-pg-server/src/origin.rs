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
    // An embedding application has its own listener, and may say whom that saw.
    let embedded = || request.extensions.get::<ConnectInfo<SocketAddr>>();
    let address = request
        .extensions
        .get::<ConnectInfo<Peer>>()
        .map(|ConnectInfo(Peer(address))| address)
        .or_else(|| embedded().map(|ConnectInfo(address)| address));
    Client {
        name: agent.map(str::to_owned),
        version: None,
        address: address.map(SocketAddr::to_string),
    }
}

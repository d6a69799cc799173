//! The client program, as it names itself.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::header::USER_AGENT;
use http::request::Parts;
use mcp_pg_core::audit::Client;

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

/// The other end of its connection; an embedding application has its own listener, and may say whom that saw.
pub(crate) fn address(request: &Parts) -> Option<&SocketAddr> {
    request.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address)
}

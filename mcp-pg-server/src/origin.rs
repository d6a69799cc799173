//! The client program, as it names itself.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::header::USER_AGENT;
use http::request::Parts;
use mcp_pg_core::audit::Client;

/// The client of an HTTP request. `X-Forwarded-For` and similar headers are ignored, because anyone can set them.
pub(crate) fn of_http(request: &Parts) -> Client {
    let agent = request.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
    Client {
        name: agent.map(str::to_owned),
        version: None,
        address: address(request).map(SocketAddr::to_string),
    }
}

/// The peer's address. An application with its own listener can put it into the request's extensions.
pub(crate) fn address(request: &Parts) -> Option<&SocketAddr> {
    request.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address)
}

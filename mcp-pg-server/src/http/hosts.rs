//! The host names to which requests for metrics may be addressed, which prevents DNS rebinding by web pages.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::uri::Authority;
use http::{HeaderMap, StatusCode, header};

/// The names, each with its port if it has one. IP addresses are always accepted: a page cannot redirect them.
#[derive(Debug, Clone)]
pub(super) struct Hosts(Arc<[Authority]>);

impl Hosts {
    /// These names, and `localhost`.
    pub(super) fn named(hosts: &[String]) -> Self {
        let hosts = hosts.iter().filter_map(|host| host.parse().ok());
        Self(hosts.chain([Authority::from_static("localhost")]).collect())
    }

    fn allow(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let host: Option<Authority> = host.to_str().ok().and_then(|host| host.parse().ok());
        let Some(host) = host else { return false };
        let address = host.host().trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is_host = |known: &Authority| {
            known.host().eq_ignore_ascii_case(host.host())
                && known.port_u16().is_none_or(|port| host.port_u16() == Some(port))
        };
        address || self.0.iter().any(is_host)
    }
}

/// Refuses requests that are addressed to another host.
pub(super) async fn require(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    match hosts.allow(request.headers()) {
        true => next.run(request).await,
        false => (StatusCode::FORBIDDEN, "server.allowed_hosts does not name this host\n")
            .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_match_by_name_and_port() {
        let hosts = Hosts::named(&["mcp.example.com".to_owned(), "one.example:8080".to_owned()]);
        for (host, known) in [
            ("mcp.example.com", true),
            ("MCP.example.com:9000", true),
            ("one.example:8080", true),
            ("one.example", false),
            ("localhost:8000", true),
            ("127.0.0.1:8000", true),
            ("10.1.2.3", true),
            ("[::1]:8000", true),
            ("evil.example", false),
            ("mcp.example.com.evil.example", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(hosts.allow(&headers), known, "{host}");
        }
        assert!(!hosts.allow(&HeaderMap::new()));
    }
}

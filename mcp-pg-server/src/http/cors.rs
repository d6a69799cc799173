//! Cross-origin requests (CORS): the web pages that may call and read the responses.
//!
//! Only the configured pages get CORS headers. Browsers refuse all others.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use super::with_port;

/// The methods and headers that a page may use.
const METHODS: &str = "GET, POST, DELETE";
const SENT: &str = "content-type, authorization, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name, last-event-id";
const READ: &str = "mcp-session-id, www-authenticate";

/// The seconds for which a browser caches the response.
const REMEMBERED: u64 = 600;

/// The configured origins, with their ports.
#[derive(Debug, Clone)]
pub(super) struct Pages(Arc<[String]>);

impl Pages {
    /// The pages with these origins; `*` stands for any port.
    pub(super) fn named(origins: &[String]) -> Self {
        Self(origins.iter().map(|origin| with_port(origin).to_ascii_lowercase()).collect())
    }

    /// The request's origin, if it is configured.
    fn sender(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else { return None };
        let sender = with_port(origin.to_str().ok()?).to_ascii_lowercase();
        let is_sender = |page: &String| match page.strip_suffix(":*") {
            Some(host) => sender.rsplit_once(':').is_some_and(|(own, _)| own == host),
            None => *page == sender,
        };
        self.0.iter().any(is_sender).then(|| origin.clone())
    }
}

/// Answers preflight requests of configured pages, which carry no credentials yet, and lets these pages read the
/// responses.
pub(super) async fn allow(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    let Some(page) = pages.sender(request.headers()) else { return next.run(request).await };
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut answer = match asks {
        true => StatusCode::NO_CONTENT.into_response(),
        false => next.run(request).await,
    };
    let headers = answer.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, page);
    if asks {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(SENT));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED.into());
    } else {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_scheme_host_and_port() {
        let named = ["https://App.example.com", "http://localhost:*", "http://one.example:8080/"];
        let pages = Pages::named(&named.map(str::to_owned));
        for (origin, known) in [
            ("https://app.example.com", true),
            ("https://app.example.com:443", true),
            ("http://localhost:6274", true),
            ("http://localhost", true),
            ("http://one.example:8080", true),
            ("http://one.example", false),
            ("http://app.example.com", false),
            ("https://app.example.com:8443", false),
            ("https://app.example.com.evil.example", false),
            ("https://localhost:6274", false),
            ("null", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            assert_eq!(pages.sender(&headers).is_some(), known, "{origin}");
            headers.append(header::ORIGIN, HeaderValue::from_static("https://evil.example"));
            assert_eq!(pages.sender(&headers), None, "{origin}");
        }
    }
}

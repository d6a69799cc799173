//! What stands before the MCP service over HTTP: nobody passes unknown.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use mcp_pg_core::{Code, Engine, Error, Origin, Principal};
use serde_json::{Map, json};
use tokio::sync::watch;

use super::{Authenticator, ProtectedResource, bearer};
use crate::metrics::Metrics;
use crate::origin;

/// What the audit and the metrics call an attempt to come in.
const ATTEMPT: &str = "authenticate";

/// Tells when a caller must show its credentials again.
#[derive(Clone)]
pub(crate) struct Standing(pub(crate) watch::Receiver<()>);

/// Asks an [`Authenticator`] about each request, and records whom it refuses.
pub(crate) struct Gate {
    pub(crate) engine: Arc<Engine>,
    /// Without one, whoever is named in the request's extensions has been known elsewhere.
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    /// What the refused are told of how to get a token.
    pub(crate) resource: Option<ProtectedResource>,
    pub(crate) metrics: Arc<Metrics>,
    /// Tells when callers that are known must come again.
    pub(crate) hang_up: watch::Sender<()>,
}

impl Gate {
    /// Puts the caller into the request's extensions; else the answer that refuses it.
    pub(crate) async fn pass(&self, request: &mut Parts) -> Result<(), Response<Full<Bytes>>> {
        let Some(authenticator) = &self.authenticator else { return Ok(()) };
        let began = Instant::now();
        // From before the caller is known, so that no change of the credentials is missed.
        let standing = Standing(self.hang_up.subscribe());
        let nobody = || Principal { method: "bearer".into(), ..Principal::new("", "") };
        let (caller, error) = match authenticator.authenticate(request).await {
            // Whoever is known but has no role here is told so now, whatever the request is.
            Ok(caller) => match self.engine.view(&caller) {
                Ok(_) => {
                    request.extensions.insert(caller);
                    request.extensions.insert(standing);
                    return Ok(());
                }
                Err(error) => (caller, error),
            },
            Err(error) => (nobody(), error),
        };
        let origin = Origin { transport: "http".into(), client: origin::of_http(request) };
        self.engine.refuse(&caller, &origin, ATTEMPT, Map::new(), &error);
        self.metrics.record(ATTEMPT, error.code().as_str(), began.elapsed());
        Err(self.answer(request, &error))
    }

    fn answer(&self, request: &Parts, error: &Error) -> Response<Full<Bytes>> {
        let status = match error.code() {
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut answer = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CACHE_CONTROL, "no-store");
        if status != StatusCode::SERVICE_UNAVAILABLE {
            answer = answer.header(header::WWW_AUTHENTICATE, self.challenge(request, error));
        }
        let body = Full::from(json!({ "error": error }).to_string());
        answer.body(body).unwrap_or_default()
    }

    /// `Bearer …` as RFC 6750 and RFC 9728 have it; without an error where there was no token to be wrong.
    fn challenge(&self, request: &Parts, error: &Error) -> String {
        let mut parameters = Vec::new();
        if let Some(resource) = &self.resource {
            parameters.push(format!("resource_metadata=\"{}\"", resource.metadata_url()));
        }
        let reason = match error.code() {
            Code::Forbidden => Some("insufficient_scope"),
            _ => bearer(request).map(|_| "invalid_token"),
        };
        if let Some(reason) = reason {
            parameters.push(format!("error=\"{reason}\""));
            parameters.push(format!("error_description=\"{}\"", quotable(error.message())));
        }
        format!("Bearer {}", parameters.join(", ")).trim_end().to_owned()
    }
}

/// The characters that RFC 6750 allows in a description.
fn quotable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect()
}

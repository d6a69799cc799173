//! The authentication layer in front of the MCP service over HTTP: every request that passes has a caller, and every refusal
//! is recorded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use mcp_pg_core::{Code, Engine, Error, Origin, Principal};
use serde_json::{Map, json};
use tokio::sync::watch;

use super::{Authenticator, ProtectedResource, bearer};
use crate::limits::{Limiter, seconds};
use crate::metrics::Metrics;
use crate::origin;

/// The name of a refused authentication in the audit log and the metrics.
const ATTEMPT: &str = "authenticate";

/// The name of a request that was refused before its body was read.
const UNREAD: &str = "request";

/// Reports when a caller's credentials are no longer accepted, or cannot be verified.
#[derive(Clone)]
pub(crate) struct Standing {
    changes: watch::Receiver<()>,
    authenticator: Arc<dyn Authenticator>,
}

impl Standing {
    /// Waits until the request would not be accepted, or be another caller's.
    pub(crate) async fn ended(mut self, request: &Parts, caller: &Principal) {
        while self.changes.changed().await.is_ok() {
            let now = self.authenticator.authenticate(request).await;
            if now.as_ref().ok() != Some(caller) {
                return;
            }
        }
    }
}

/// Asks an [`Authenticator`] about each request, and records whom it refuses.
pub(crate) struct Gate {
    pub(crate) engine: Arc<Engine>,
    /// Without one, the request's extensions name a caller who was authenticated elsewhere.
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    /// The caller of requests that name none.
    pub(crate) caller: Option<Principal>,
    /// Tells refused clients how to get a token.
    pub(crate) resource: Option<ProtectedResource>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limiter: Arc<Limiter>,
    /// Reports that other credentials are accepted.
    pub(crate) hang_up: watch::Sender<()>,
}

/// The sender of an accepted request.
pub(crate) struct Sender {
    caller: Option<Principal>,
    origin: Origin,
    began: Instant,
}

impl Sender {
    fn of(request: &Parts, began: Instant) -> Self {
        let caller = request.extensions.get::<Principal>().cloned();
        Self { caller, origin: sent(request), began }
    }
}

impl Gate {
    /// Puts the caller into the request's extensions and counts the request, or returns the response that refuses it.
    pub(crate) async fn admit(&self, request: &mut Parts) -> Result<Sender, Response<Full<Bytes>>> {
        let sender = self.pass(request).await?;
        match self.hear(request, &sender).await {
            Some(refusal) => Err(refusal),
            None => Ok(sender),
        }
    }

    /// Puts the caller into the request's extensions, or returns the response that refuses the request.
    async fn pass(&self, request: &mut Parts) -> Result<Sender, Response<Full<Bytes>>> {
        let began = Instant::now();
        let Some(authenticator) = &self.authenticator else {
            let sender = Sender::of(request, began);
            if self.caller_of(&sender).is_some() {
                return Ok(sender);
            }
            let error = Error::new(Code::Unauthenticated, "the request names no caller");
            return Err(self.refuse(request, &Principal::unknown("none"), &error, began).await);
        };
        let address = origin::address(request).map(|address| address.ip());
        if let Some(wait) = address.and_then(|address| self.limiter.wait(address)) {
            return Err(self.put_off(request, wait, began).await);
        }
        // From before the caller is known, so that no change of the credentials is missed.
        let changes = self.hang_up.subscribe();
        let standing = Standing { changes, authenticator: Arc::clone(authenticator) };
        let (caller, error) = match authenticator.authenticate(request).await {
            // Whoever is known but has no role here is told so now, whatever the request is.
            Ok(caller) if !self.engine.has_role(&caller.role) => {
                let message = "this server does not know the caller's role";
                (caller, Error::new(Code::Forbidden, message))
            }
            Ok(caller) => {
                request.extensions.insert(caller);
                request.extensions.insert(standing);
                return Ok(Sender::of(request, began));
            }
            Err(error) => {
                if error.code() == Code::Unauthenticated
                    && authenticator.carries_credentials(request)
                    && let Some(wait) = self.limiter.failed(address)
                {
                    return Err(self.put_off(request, wait, began).await);
                }
                (unknown(request), error)
            }
        };
        Err(self.refuse(request, &caller, &error, began).await)
    }

    /// The response for addresses with too many failed attempts.
    async fn put_off(
        &self,
        request: &Parts,
        wait: Duration,
        began: Instant,
    ) -> Response<Full<Bytes>> {
        let message = "credentials from this address were refused too often";
        let error = Error::new(Code::RateLimited, message)
            .hint(format!("call again in {} s", seconds(wait)));
        self.record(request, &unknown(request), &error, began).await;
        self.answer_after(request, &error, wait)
    }

    /// The caller who sent a request, if it is known.
    pub(crate) fn caller_of<'g>(&'g self, sender: &'g Sender) -> Option<&'g Principal> {
        sender.caller.as_ref().or(self.caller.as_ref())
    }

    /// Counts a request of an authenticated caller; the response that refuses it, if there are too many.
    async fn hear(&self, request: &Parts, sender: &Sender) -> Option<Response<Full<Bytes>>> {
        let caller = self.caller_of(sender)?;
        let (error, wait) = self.limiter.hear(caller).err()?;
        self.engine.refuse(caller, &sender.origin, UNREAD, Map::new(), &error).await;
        self.metrics.record(UNREAD, error.code().as_str(), sender.began.elapsed());
        Some(self.answer_after(request, &error, wait))
    }

    /// Records an accepted request, if this status of its response says that it is not an MCP request.
    pub(crate) async fn unread(&self, sender: &Sender, status: StatusCode) {
        let code = match status {
            // Another protocol's way of asking, or a newer one's: there is nothing to call.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => return,
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::Forbidden,
            StatusCode::PAYLOAD_TOO_LARGE => Code::LimitExceeded,
            StatusCode::TOO_MANY_REQUESTS => Code::RateLimited,
            status if status.is_client_error() => Code::InvalidValue,
            _ => return,
        };
        let caller = self.caller_of(sender).cloned();
        let caller = caller.unwrap_or_else(|| Principal::unknown("none"));
        // It counts, too.
        let _ = self.limiter.admit(&caller);
        let error = Error::new(code, format!("answered with {status}"));
        self.engine.refuse(&caller, &sender.origin, UNREAD, Map::new(), &error).await;
        self.metrics.record(UNREAD, code.as_str(), sender.began.elapsed());
    }

    async fn refuse(
        &self,
        request: &Parts,
        caller: &Principal,
        error: &Error,
        began: Instant,
    ) -> Response<Full<Bytes>> {
        self.record(request, caller, error, began).await;
        self.answer(request, error)
    }

    async fn record(&self, request: &Parts, caller: &Principal, error: &Error, began: Instant) {
        self.engine.refuse(caller, &sent(request), ATTEMPT, Map::new(), error).await;
        self.metrics.record(ATTEMPT, error.code().as_str(), began.elapsed());
    }

    /// The response that says when to try again.
    fn answer_after(
        &self,
        request: &Parts,
        error: &Error,
        wait: Duration,
    ) -> Response<Full<Bytes>> {
        let mut answer = self.answer(request, error);
        answer.headers_mut().insert(header::RETRY_AFTER, seconds(wait).into());
        answer
    }

    fn answer(&self, request: &Parts, error: &Error) -> Response<Full<Bytes>> {
        let status = match error.code() {
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::Forbidden => StatusCode::FORBIDDEN,
            Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut answer = Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CACHE_CONTROL, "no-store");
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            answer = answer.header(header::WWW_AUTHENTICATE, self.challenge(request, error));
        }
        let body = Full::from(json!({ "error": error }).to_string());
        answer.body(body).unwrap_or_default()
    }

    /// The `WWW-Authenticate` header (RFC 6750, RFC 9728). It names an error only if there was a token.
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

/// A caller who was not authenticated.
fn unknown(request: &Parts) -> Principal {
    Principal::unknown(bearer(request).map_or("none", |_| "bearer"))
}

/// The origin of a request.
fn sent(request: &Parts) -> Origin {
    Origin { transport: "http".into(), client: origin::of_http(request) }
}

/// The characters that RFC 6750 allows in a description.
fn quotable(text: &str) -> String {
    text.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect()
}

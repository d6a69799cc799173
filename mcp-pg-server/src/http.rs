//! MCP over streamable HTTP, and the pages beside it: liveness, readiness, metrics.
//!
//! There are no sessions: each request is complete, so any number of servers can share the load.

mod batch;
mod body;
mod cors;
mod hosts;
mod readiness;
mod revision;
mod routes;
mod unread;

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::Body;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use mcp_pg_core::{Engine, Principal};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::auth::{Authenticator, Gate, ProtectedResource};
use crate::confirm::{Questions, StateKey};
use crate::handler::{Handler, Parts};
use crate::json;
use crate::limits::Limiter;
use crate::metrics::Metrics;
use crate::subscriptions::Subscriptions;

pub use routes::serve;

use body::Bodies;

/// The maximum size of a request, in bytes.
const MAX_REQUEST_BYTES: usize = 4 << 20;
/// The maximum number of connections at one time.
pub(crate) const MAX_CONNECTIONS: usize = 1_000;
/// How long a client may take to send a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// The options of a [`service`].
///
/// By default, no caller is accepted, and only loopback host names.
#[derive(Clone, Default)]
pub struct ServiceOptions {
    /// Identifies callers. Requests that it refuses get 401, 403, 429 or 503.
    pub authenticator: Option<Arc<dyn Authenticator>>,
    /// The caller, if there is no authenticator and the request's extensions contain no [`Principal`]. If absent, such requests
    /// get 401.
    pub caller: Option<Principal>,
    /// The content of `WWW-Authenticate` and of the metadata (RFC 9728), for clients that have no token yet. [`serve`] answers
    /// requests for the metadata; an application that nests the [`service`] does so itself.
    pub resource: Option<ProtectedResource>,
    /// Host names (`host` or `host:port`) that requests may be addressed to, besides the loopback ones. Others get 403, which
    /// prevents DNS rebinding by web pages.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages (`https://app.example.com`) that may call, besides loopback ones. Others get 403. [`serve`] also sends
    /// the CORS headers; an application that nests the [`service`] needs its own layer for them.
    pub allowed_origins: Vec<String>,
    /// Limits on the calls of each caller.
    pub limiter: Arc<Limiter>,
    /// The maximum size of a request in bytes; 4 MiB if absent. A larger one gets 413. Memory for requests of more than 64 KiB is
    /// limited to this size for each caller, and to four times as much for all. Further ones wait for up to `request_timeout`,
    /// then get 429.
    pub max_request_bytes: Option<usize>,
    /// How long a client may take to send a request; 30 seconds if absent. A slower one gets 408. With [`serve`], connections are
    /// also closed if the head of the next request, or reading a reply, takes longer.
    pub request_timeout: Option<Duration>,
    /// With [`serve`], the maximum number of connections at one time; 1,000 if absent. More wait to be accepted.
    pub max_connections: Option<usize>,
    /// Counts calls.
    pub metrics: Arc<Metrics>,
    /// Ends the streams of subscribers when it is cancelled; they would not end otherwise, and a server that waits for its
    /// connections would not, either. Calls go on. The type is that of the crate `tokio-util`. [`serve`] replaces it.
    pub stop: CancellationToken,
    /// When a value is sent, the callers of open streams are authenticated again, by the requests that opened them. Streams end
    /// whose caller is not accepted or is another one then, as do those without an authenticator.
    pub hang_up: watch::Sender<()>,
    /// Servers that share this key accept the answers to each other's questions to the user.
    pub state_key: Option<StateKey>,
}

impl fmt::Debug for ServiceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceOptions").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// A tower service that answers MCP requests of authenticated callers.
#[derive(Clone)]
pub struct McpService {
    gate: Arc<Gate>,
    handler: Handler,
    mcp: StreamableHttpService<Handler, NeverSessionManager>,
    bodies: Arc<Bodies>,
}

impl fmt::Debug for McpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpService").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for McpService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Display,
{
    type Response = http::Response<BoxBody<Bytes, Infallible>>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let mut service = self.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let sender = match service.gate.admit(&mut head).await {
                Ok(sender) => sender,
                Err(refusal) => return Ok(refusal.map(|body| body.boxed())),
            };
            // rmcp checks that the body says the same as the header.
            let asks = head.headers.get("mcp-method");
            if asks.is_some_and(|method| method == "subscriptions/listen")
                && let Some(arrival) = service.handler.arrival(head.extensions.get())
            {
                head.extensions.insert(arrival);
            }
            let caller = service.gate.caller_of(&sender).map_or_else(String::new, Principal::key);
            let read = match is_addressed_once(&head.uri, &head.headers) {
                true => service.bodies.read(&caller, body).await,
                false => Err(StatusCode::BAD_REQUEST),
            };
            let answer = match read {
                // The body keeps its room until it is answered.
                Ok((body, _room)) => {
                    spell_out_accepted(&mut head.headers);
                    // Nothing is read of other methods, which are not allowed.
                    let is_message = head.method == Method::POST;
                    let is_json = is_message && is_json(&head.headers);
                    if is_json && let Err(error) = json::check(&body, service.bodies.most()) {
                        match json::without_deep_arguments(&body, &error) {
                            Some(call) => {
                                head.headers.remove(header::CONTENT_LENGTH);
                                service.single(head, call.to_string().into(), is_json).await
                            }
                            None => unread::malformed(&body, &error),
                        }
                    } else if is_message
                        && let Some(messages) = batch::messages(&head.headers, &body)
                    {
                        // Each message is counted and recorded.
                        return Ok(service.each(head, sender, messages).await);
                    } else {
                        service.single(head, body, is_json).await
                    }
                }
                Err(status) => unread::refusal(status),
            };
            service.gate.unread(&sender, answer.status()).await;
            Ok(answer)
        })
    }
}

impl McpService {
    /// The response to a body that is not a batch.
    async fn single(
        &mut self,
        mut head: request::Parts,
        body: Bytes,
        is_json: bool,
    ) -> http::Response<BoxBody<Bytes, Infallible>> {
        let handshake = if is_json { revision::fit(&mut head, &body) } else { None };
        let request = Request::from_parts(head, Full::new(body.clone()));
        let Ok(answer) = self.mcp.call(request).await;
        match answer.status() {
            // The content type is right, so the message is malformed.
            StatusCode::UNSUPPORTED_MEDIA_TYPE if is_json => unread::not_a_message(&body),
            _ => match handshake {
                Some(id) => revision::without_handshake(answer, id),
                None => answer,
            },
        }
    }
}

/// Whether the request names exactly one host, as `host` or `host:port`, and at most one origin (RFC 9112, 3.2). With several,
/// a proxy in front of this server could check another one than this server does. If the target names a host, it must be the
/// same.
fn is_addressed_once(target: &Uri, headers: &HeaderMap) -> bool {
    let once = |name| headers.get_all(name).iter().count() <= 1;
    let plain = |host: &Authority| {
        let port = host.port_u16().is_some();
        !host.as_str().contains('@') && (port || host.as_str() == host.host())
    };
    let host = headers.get(header::HOST);
    let named = host.map(|host| host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()));
    let target = target.authority();
    once(header::HOST)
        && once(header::ORIGIN)
        && target.is_none_or(plain)
        && match &named {
            Some(Some(host)) => plain(host) && target.is_none_or(|target| target == host),
            Some(None) => false,
            None => true,
        }
}

/// Whether the content type is JSON.
fn is_json(headers: &HeaderMap) -> bool {
    const JSON: &[u8] = b"application/json";
    let content_type =
        headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes().trim_ascii_start());
    let split = content_type.and_then(|value| value.split_at_checked(JSON.len()));
    split.is_some_and(|(kind, more)| {
        kind.eq_ignore_ascii_case(JSON) && matches!(more.trim_ascii_start(), [] | [b';', ..])
    })
}

/// Makes `Accept: */*`, which most programs send that are not MCP clients, name both content types of MCP's responses.
fn spell_out_accepted(headers: &mut HeaderMap) {
    let anything = |value: &HeaderValue| {
        let mut ranges = value.to_str().unwrap_or_default().split(',');
        ranges.any(|range| range.split(';').next().is_some_and(|range| range.trim() == "*/*"))
    };
    let mut given = headers.get_all(header::ACCEPT).iter().peekable();
    if given.peek().is_none() || given.any(anything) {
        let both = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(header::ACCEPT, both);
    }
}

/// MCP over an engine as a tower service, to be nested in an axum router.
///
/// The application identifies callers: with an [`Authenticator`] in the options, or with its own middleware, which puts a
/// [`Principal`] into the request's extensions. It should also run [`Engine::follow`], so that clients are notified of changes, and
/// cancel [`ServiceOptions::stop`] when it stops.
///
/// The address of a client is known only if axum is told to note it, as below: to the audit log, and to the limit on
/// [failed authentications](crate::RequestLimits::failed_authentications_per_minute).
///
/// ```no_run
/// use std::net::SocketAddr;
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use axum::{Extension, Router};
/// use mcp_pg_core::{Engine, Principal, Settings};
/// use mcp_pg_server::{ServiceOptions, service};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::connect("postgres://localhost/app".parse()?, Settings::default()).await?;
/// let engine = Arc::new(engine);
/// // Without this, a changed schema is noticed only by a call that fails, and no client is told.
/// let followed = engine.clone();
/// tokio::spawn(async move { followed.follow(Duration::from_secs(1)).await });
///
/// let mcp = service(engine, ServiceOptions::default());
/// let app: Router = Router::new()
///     .nest_service("/mcp", mcp)
///     .layer(Extension(Principal::new("backoffice", "analyst")));
/// let app = app.into_make_service_with_connect_info::<SocketAddr>();
/// axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await?;
/// # Ok(())
/// # }
/// ```
pub fn service(engine: Arc<Engine>, options: ServiceOptions) -> McpService {
    let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let pages = ["localhost", "127.0.0.1", "[::1]"]
        .into_iter()
        .flat_map(|host| [format!("http://{host}:*"), format!("https://{host}:*")]);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(loopback.into_iter().chain(options.allowed_hosts))
        .with_allowed_origins(
            pages.chain(options.allowed_origins.into_iter().map(|origin| with_port(&origin))),
        )
        .enforce_origin_validation();
    let max_request_bytes = options.max_request_bytes.unwrap_or(MAX_REQUEST_BYTES);
    let config = config.with_max_request_body_bytes(max_request_bytes);
    let gate = Gate {
        engine: engine.clone(),
        authenticator: options.authenticator,
        resource: options.resource,
        metrics: options.metrics.clone(),
        limiter: options.limiter.clone(),
        caller: options.caller.clone(),
        hang_up: options.hang_up.clone(),
    };
    let handler = Handler::new(Parts {
        engine,
        transport: "http",
        caller: options.caller,
        limiter: options.limiter,
        metrics: options.metrics,
        subscriptions: Subscriptions::of_streams(options.stop, options.hang_up),
        questions: Questions::new(options.state_key),
    });
    let each = handler.clone();
    let mcp = StreamableHttpService::new(move || Ok(each.clone()), Arc::default(), config);
    let request_timeout = options.request_timeout.unwrap_or(REQUEST_TIMEOUT);
    let bodies = Arc::new(Bodies::new(max_request_bytes, request_timeout));
    McpService { gate: Arc::new(gate), handler, mcp, bodies }
}

/// The origin with its scheme's default port, if it has none. rmcp would accept any port otherwise.
fn with_port(origin: &str) -> String {
    let origin = origin.trim_end_matches('/');
    let has_port =
        origin.rsplit_once(':').is_some_and(|(_, port)| port == "*" || port.parse::<u16>().is_ok());
    match origin.split_once("://") {
        Some(("https", _)) if !has_port => format!("{origin}:443"),
        Some(("http", _)) if !has_port => format!("{origin}:80"),
        _ => origin.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_port() {
        for (given, meant) in [
            ("https://app.example.com", "https://app.example.com:443"),
            ("http://app.example.com/", "http://app.example.com:80"),
            ("https://app.example.com:8443", "https://app.example.com:8443"),
            ("http://[::1]", "http://[::1]:80"),
            ("http://localhost:*", "http://localhost:*"),
            ("null", "null"),
        ] {
            assert_eq!(with_port(given), meant);
        }
    }
}

//! MCP over streamable HTTP, and the pages beside it: liveness, readiness, metrics.
//!
//! Requests carry all that they need: there are no sessions, so any number of servers can share a load.

use std::convert::Infallible;
use std::fmt::{self, Display};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use mcp_pg_core::{Engine, Principal};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::auth::{Authenticator, ENDPOINT, Gate, ProtectedResource};
use crate::confirm::StateKey;
use crate::handler::Handler;
use crate::limits::Limiter;
use crate::listener::{Certificate, Connections, Peer};
use crate::metrics::Metrics;
use crate::subscriptions::Subscriptions;

/// How long calls may go on after the signal to stop.
const GRACE: Duration = Duration::from_secs(10);

/// What [`service`] needs to know besides the engine.
///
/// The default trusts nobody: it has no caller, and answers loopback names only.
#[derive(Clone, Default)]
pub struct ServiceOptions {
    /// Decides who calls. Whom it refuses gets no answer but 401, 403 or 503.
    pub authenticator: Option<Arc<dyn Authenticator>>,
    /// Who calls, if there is no authenticator and the request's extensions hold no [`Principal`]; refused if
    /// absent.
    pub caller: Option<Principal>,
    /// What `WWW-Authenticate` and the metadata (RFC 9728) tell those who have no token yet.
    pub resource: Option<ProtectedResource>,
    /// Names (`host` or `host:port`) that requests may be addressed to besides the loopback ones; others
    /// get 403, so that no web page can reach the server by rebinding a name of its own.
    pub allowed_hosts: Vec<String>,
    /// Web pages (`https://app.example.com`) that may call besides those on loopback; others get 403.
    pub allowed_origins: Vec<String>,
    /// Bounds on the calls of each caller.
    pub limiter: Arc<Limiter>,
    /// Most bytes of a request; 4 MiB if absent. A larger one gets 413.
    pub max_request_bytes: Option<usize>,
    /// Where calls are counted.
    pub metrics: Arc<Metrics>,
    /// Cancelled, it ends the streams of subscribers, which else have no end; calls go on.
    pub stop: CancellationToken,
    /// Sent to, it ends the streams whose callers were known before: they come again with their credentials.
    pub hang_up: watch::Sender<()>,
    /// Servers that share it take the answers to each other's questions to the user.
    pub state_key: Option<StateKey>,
}

impl fmt::Debug for ServiceOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceOptions").field("caller", &self.caller).finish_non_exhaustive()
    }
}

/// A tower service that answers MCP requests of callers that are known.
#[derive(Clone)]
pub struct McpService {
    gate: Arc<Gate>,
    handler: Handler,
    mcp: StreamableHttpService<Handler, NeverSessionManager>,
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
        let Self { gate, handler, mut mcp } = self.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            match gate.pass(&mut head).await {
                Ok(sender) => {
                    // Whatever it says, the body says the same, or is refused.
                    let asks = head.headers.get("mcp-method");
                    if asks.is_some_and(|method| method == "subscriptions/listen")
                        && let Some(arrival) = handler.arrival(head.extensions.get())
                    {
                        head.extensions.insert(arrival);
                    }
                    let answer = mcp.call(Request::from_parts(head, body)).await;
                    if let Ok(answer) = &answer {
                        gate.unread(sender, answer.status());
                    }
                    answer
                }
                Err(refusal) => Ok(refusal.map(|body| body.boxed())),
            }
        })
    }
}

/// MCP over an engine as a tower service, to be nested into an axum application.
///
/// The application says who calls: by an [`Authenticator`] in the options, or by middleware of its own that
/// puts a [`Principal`] into the request's extensions.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use axum::{Extension, Router};
/// use mcp_pg_core::{Engine, Principal, Settings};
/// use mcp_pg_server::{ServiceOptions, service};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::connect("postgres://localhost/app".parse()?, Settings::default()).await?;
/// let mcp = service(Arc::new(engine), ServiceOptions::default());
/// let app: Router = Router::new()
///     .nest_service("/mcp", mcp)
///     .layer(Extension(Principal::new("backoffice", "analyst")));
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
    let config = match options.max_request_bytes {
        Some(bytes) => config.with_max_request_body_bytes(bytes),
        None => config,
    };
    let gate = Gate {
        engine: engine.clone(),
        authenticator: options.authenticator,
        resource: options.resource,
        metrics: options.metrics.clone(),
        limiter: options.limiter.clone(),
        caller: options.caller.clone(),
        hang_up: options.hang_up.clone(),
    };
    let handler = Handler::new(
        engine,
        "http",
        options.caller,
        options.limiter,
        options.metrics,
        Subscriptions::of_streams(options.stop, options.hang_up),
        options.state_key,
    );
    let each = handler.clone();
    let mcp = StreamableHttpService::new(move || Ok(each.clone()), Arc::default(), config);
    McpService { gate: Arc::new(gate), handler, mcp }
}

/// The origin with its scheme's port: without one, rmcp would let any port pass.
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

/// Serves `/mcp`, `/healthz`, `/readyz`, `/metrics` and the metadata of the options' resource until `stop` is
/// cancelled; then lets calls end, for ten seconds at most. With a certificate, connections are encrypted.
///
/// # Errors
///
/// Those of the listener.
pub async fn serve(
    engine: Arc<Engine>,
    listener: TcpListener,
    tls: Option<Certificate>,
    mut options: ServiceOptions,
    stop: CancellationToken,
) -> std::io::Result<()> {
    options.stop = stop.clone();
    let metrics = options.metrics.clone();
    let mut app = Router::new();
    for path in ProtectedResource::PATHS {
        if let Some(resource) = &options.resource {
            let metadata = resource.metadata();
            app = app.route(path, get(async move || Json(metadata)));
        }
    }
    let app = app
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(ready).with_state(engine.clone()))
        .route("/metrics", get(counters).with_state(metrics))
        .route_service(ENDPOINT, service(engine, options))
        .into_make_service_with_connect_info::<Peer>();
    let listener = Connections::new(listener, tls);
    let patience = {
        let stop = stop.clone();
        async move {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        }
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
    tokio::select! {
        ended = async { serving.await } => ended,
        () = patience => Ok(()),
    }
}

async fn ready(State(engine): State<Arc<Engine>>) -> Response {
    match engine.ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "no database\n").into_response(),
    }
}

async fn counters(State(metrics): State<Arc<Metrics>>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics.render()).into_response()
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

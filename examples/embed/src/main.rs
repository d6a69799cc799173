//! An axum application with mcp-pg inside.

mod ask;

use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::request::Select;
use mcp_pg_core::{Code, Engine, Principal, Reply, Request, Settings};
use mcp_pg_server::embedded::Cluster;
use mcp_pg_server::sample::{self, Sample};
use mcp_pg_server::{ServiceOptions, service};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Your application has its database; this one borrows the sample shop, which goes with the cluster.
    let cluster = Cluster::start()?;
    let engine = Arc::new(engine(&cluster).await?);
    // Clients are told when the schema changes.
    let followed = engine.clone();
    tokio::spawn(async move { followed.follow(Duration::from_secs(1)).await });
    let mut out = io::stdout();
    if std::env::args().any(|argument| argument == "--once") {
        return ask::ask(application(engine, CancellationToken::new()), &mut out).await;
    }
    let listener = TcpListener::bind("127.0.0.1:8081").await?;
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(listener, engine, interrupted).await
}

/// Serves until it is interrupted.
async fn serve(
    listener: TcpListener,
    engine: Arc<Engine>,
    interrupted: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Box<dyn Error>> {
    let stop = CancellationToken::new();
    // The service learns the address of each client, for its limits and the audit log.
    let app = application(engine.clone(), stop.clone());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let stopped = async move {
        interrupted.await;
        // The streams of subscribers would not end otherwise.
        stop.cancel();
    };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await?;
    // The last statements and audit records.
    engine.close().await?;
    Ok(())
}

/// The engine on the shop, with roles that the application defines.
async fn engine(cluster: &Cluster) -> Result<Engine, Box<dyn Error>> {
    let database = sample::load(cluster.config("postgres"), Sample::Shop).await?;
    let settings = Settings {
        roles: vec![
            Role::everywhere("report", [Action::Select]),
            Role::everywhere("warehouse", [Action::Select, Action::Update]),
        ],
        ..Settings::default()
    };
    Ok(Engine::connect(database, settings).await?)
}

/// A page of the application's own, and MCP; both only for those who say who they are.
fn application(engine: Arc<Engine>, stop: CancellationToken) -> Router {
    let options = ServiceOptions { stop, ..ServiceOptions::default() };
    Router::new()
        .route("/orders/pending", get(pending_orders))
        .with_state(engine.clone())
        .nest_service("/mcp", service(engine, options))
        .layer(middleware::from_fn(authenticate))
}

/// Lets in who brings a token that is known. The caller is decided here, never by a model.
async fn authenticate(mut request: axum::extract::Request, next: Next) -> Response {
    match caller(request.headers()) {
        Some(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        None => (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response(),
    }
}

/// In a real application: a session, or a token that is looked up or verified.
fn caller(headers: &HeaderMap) -> Option<Principal> {
    match headers.get(header::AUTHORIZATION)?.to_str().ok()? {
        "Bearer of-the-report" => Some(Principal::new("monthly-report", "report")),
        "Bearer of-the-warehouse" => Some(Principal::new("warehouse", "warehouse")),
        _ => None,
    }
}

/// The oldest pending orders with their customers, as the caller may see them.
async fn pending_orders(
    State(engine): State<Arc<Engine>>,
    Extension(caller): Extension<Principal>,
) -> Response {
    let request = Select {
        table: "orders".into(),
        columns: Some(vec!["order_id".into(), "total".into()]),
        filter: json!({"status": "pending"}).as_object().cloned(),
        include: json!({"user": {"columns": ["name"]}}).as_object().cloned(),
        order_by: Some(vec!["created_at".into()]),
        limit: Some(3),
        ..Select::default()
    };
    match engine.handle(&caller, Request::Select(request)).await.and_then(Reply::into_value) {
        Ok(orders) => Json(orders).into_response(),
        Err(error) => {
            let status = match error.code() {
                Code::Forbidden => StatusCode::FORBIDDEN,
                Code::DatabaseUnavailable => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, Json(json!({ "error": error }))).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn each_caller_may_do_what_the_application_says() {
        let cluster = Cluster::start().unwrap();
        let engine = Arc::new(engine(&cluster).await.unwrap());
        let app = application(engine, CancellationToken::new());
        let mut out = Vec::new();
        ask::ask(app, &mut out).await.unwrap();
        let told = String::from_utf8(out).unwrap();
        for part in [
            "the page: 200 OK",
            "tools of-the-report: 200 OK list_tables describe_table select aggregate explain\n",
            "more stock, of-the-warehouse: 200 OK {\"table\":\"public.inventory\",\"rows\":[{\"quantity\":22",
            "more stock, of-the-report: 200 OK {\"error\":{\"code\":\"forbidden\"",
            "more stock, of nobody: 401 Unauthorized",
        ] {
            assert!(told.contains(part), "no {part} in\n{told}");
        }
    }

    #[tokio::test]
    async fn it_stops_although_a_client_is_subscribed() {
        let cluster = Cluster::start().unwrap();
        let engine = Arc::new(engine(&cluster).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let interrupt = Arc::new(Notify::new());
        let interrupted = interrupt.clone();
        let serving = tokio::spawn(async move {
            let interrupted = async move { interrupted.notified().await };
            serve(listener, engine, interrupted).await.map_err(|error| error.to_string())
        });
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
        "notifications": {"toolsListChanged": true},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }}});
        let body = body.to_string();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: subscriptions/listen\r\nAuthorization: Bearer of-the-report\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let mut begun = [0; 15];
        client.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200 OK");
        interrupt.notify_one();
        let served = tokio::time::timeout(Duration::from_secs(10), serving).await;
        served.expect("it stops").unwrap().unwrap();
    }
}

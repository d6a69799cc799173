//! An axum application with mcp-pg inside.

mod ask;

use std::error::Error;
use std::io::{self, Write as _};
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

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Your application has its database; this one borrows the sample shop, which goes with the cluster.
    let cluster = Cluster::start()?;
    let engine = Arc::new(engine(&cluster).await?);
    // Clients are told when the schema changes.
    let followed = engine.clone();
    tokio::spawn(async move { followed.follow(Duration::from_secs(1)).await });
    let app = application(engine);
    let mut out = io::stdout();
    if std::env::args().any(|argument| argument == "--once") {
        return ask::ask(app, &mut out).await;
    }
    let listener = TcpListener::bind("127.0.0.1:8081").await?;
    writeln!(out, "listening on http://{}", listener.local_addr()?)?;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
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
fn application(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/orders/pending", get(pending_orders))
        .with_state(engine.clone())
        .nest_service("/mcp", service(engine, ServiceOptions::default()))
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
    use super::*;

    #[tokio::test]
    async fn each_caller_may_do_what_the_application_says() {
        let cluster = Cluster::start().unwrap();
        let app = application(Arc::new(engine(&cluster).await.unwrap()));
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
}

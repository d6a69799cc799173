//! The server: MCP, and the pages beside it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use http::{StatusCode, header};
use mcp_pg_core::Engine;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::hosts::{self, Hosts};
use super::readiness::Readiness;
use super::{MAX_CONNECTIONS, REQUEST_TIMEOUT, ServiceOptions, cors, service};
use crate::auth::{ENDPOINT, WELL_KNOWN};
use crate::listener::{Certificate, Listener};
use crate::metrics::Metrics;

/// Serves `/mcp`, `/healthz`, `/readyz`, `/metrics` and the metadata of the options' resource until `stop` is
/// cancelled; then waits for running calls, for ten seconds at most. With a certificate, connections are encrypted.
pub async fn serve(
    engine: Arc<Engine>,
    tcp: TcpListener,
    tls: Option<Certificate>,
    mut options: ServiceOptions,
    stop: CancellationToken,
) {
    options.stop = stop.clone();
    let listener = Listener {
        tcp,
        tls,
        max_connections: options.max_connections.unwrap_or(MAX_CONNECTIONS),
        patience: options.request_timeout.unwrap_or(REQUEST_TIMEOUT),
    };
    let metrics = options.metrics.clone();
    let pages = cors::Pages::named(&options.allowed_origins);
    let hosts = Hosts::named(&options.allowed_hosts);
    let by_name = middleware::from_fn_with_state(hosts, hosts::require);
    let mut app = Router::new();
    if let Some(resource) = &options.resource {
        for path in BTreeSet::from([WELL_KNOWN.to_owned(), resource.metadata_path()]) {
            let metadata = resource.metadata();
            app = app.route(&path, get(async move || Json(metadata)));
        }
    }
    let mcp = service(engine.clone(), options);
    let app = app
        .route_service(ENDPOINT, mcp.clone())
        // Settings of clients often have a trailing slash.
        .route_service(&format!("{ENDPOINT}/"), mcp)
        .layer(middleware::from_fn_with_state(pages, cors::allow))
        .route("/healthz", get("ok\n"))
        .route("/readyz", get(ready).with_state(Readiness::of(engine.clone())))
        .route("/metrics", get(counters).with_state((metrics, engine)).layer(by_name))
        .fallback(nothing);
    listener.serve(app, stop).await;
}

async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, format!("there is nothing here: MCP is spoken at {ENDPOINT}\n"))
        .into_response()
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    match readiness.ask().await {
        true => "ready\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, "no database\n").into_response(),
    }
}

async fn counters(State((metrics, engine)): State<(Arc<Metrics>, Arc<Engine>)>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let page = metrics.render(&engine.health());
    ([(header::CONTENT_TYPE, kind)], page).into_response()
}

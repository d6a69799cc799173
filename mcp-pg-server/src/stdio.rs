//! MCP on standard input and output.

use std::sync::Arc;

use mcp_pg_core::{Engine, Principal};
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::io::stdio_pipes;
use tokio_util::sync::CancellationToken;

use crate::handler::Handler;
use crate::limits::Limiter;
use crate::metrics::Metrics;
use crate::subscriptions::Subscriptions;

/// Serves `caller` until the client closes the input or `stop` is cancelled.
///
/// # Errors
///
/// Whatever keeps the session from beginning, in a sentence.
pub async fn serve(
    engine: Arc<Engine>,
    caller: Principal,
    limiter: Arc<Limiter>,
    stop: CancellationToken,
) -> Result<(), String> {
    let handler = Handler::new(
        engine,
        "stdio",
        Some(caller),
        limiter,
        Arc::new(Metrics::default()),
        Subscriptions::of_session(),
        None,
    );
    match handler.serve_with_ct(stdio_pipes(), stop).await {
        Ok(session) => session
            .waiting()
            .await
            .map(|_| ())
            .map_err(|error| format!("the session broke off: {error}")),
        // Nobody was there, or nobody stayed.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        Err(error) => Err(format!("no session: {error}")),
    }
}

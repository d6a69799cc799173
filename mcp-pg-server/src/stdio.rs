//! MCP on standard input and output.

mod input;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use mcp_pg_core::{Engine, Principal};
use rmcp::model::{
    ClientNotification, ClientRequest, InitializeResult, ProtocolVersion, ServerResult,
};
use rmcp::service::{NotificationContext, RequestContext, ServerInitializeError, Service};
use rmcp::transport::io::stdio_pipes;
use rmcp::{ErrorData, RoleServer, ServiceExt};
use tokio_util::sync::CancellationToken;

use self::input::Input;
use crate::confirm::Questions;
use crate::handler::{Handler, Parts};
use crate::limits::Limiter;
use crate::subscriptions::Subscriptions;

/// Serves `caller` until the client closes the input or `stop` is cancelled.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use mcp_pg_core::{Engine, Principal};
/// use mcp_pg_server::{Limiter, stdio};
/// use tokio_util::sync::CancellationToken;
///
/// # async fn run(engine: Arc<Engine>) -> Result<(), String> {
/// let caller = Principal::new("local", "analyst");
/// stdio::serve(engine, caller, Arc::new(Limiter::default()), CancellationToken::new()).await
/// # }
/// ```
///
/// # Errors
///
/// Why the session could not begin or was broken off, as a sentence.
pub async fn serve(
    engine: Arc<Engine>,
    caller: Principal,
    limiter: Arc<Limiter>,
    stop: CancellationToken,
) -> Result<(), String> {
    let left = CancellationToken::new();
    let handler = Handler::new(Parts {
        engine,
        transport: "stdio",
        caller: Some(caller),
        limiter,
        metrics: Arc::default(),
        subscriptions: Subscriptions::of_session(left.clone()),
        questions: Questions::new(None),
    });
    let (input, output) = stdio_pipes();
    let input = Input::new(input, left);
    match Stamped(handler).serve_with_ct((input, output), stop).await {
        Ok(session) => session
            .waiting()
            .await
            .map(|_| ())
            .map_err(|error| format!("the session broke off: {error}")),
        // The client left before the session began.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        Err(ServerInitializeError::TransportError { error, .. }) if has_left(&*error.error) => {
            Ok(())
        }
        Err(error) => Err(format!("no session: {error}")),
    }
}

/// Whether the error means that nobody reads the output any more.
fn has_left(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The handler. It notes the arrival of requests for a stream.
struct Stamped(Handler);

impl Service<RoleServer> for Stamped {
    fn handle_request(
        &self,
        request: ClientRequest,
        mut cx: RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<ServerResult, ErrorData>> + Send + '_ {
        if let ClientRequest::SubscriptionsListenRequest(_) = request
            && let Some(arrival) = self.0.arrival(None)
        {
            cx.extensions.insert(arrival);
        }
        self.0.handle_request(request, cx)
    }

    fn handle_notification(
        &self,
        notification: ClientNotification,
        cx: NotificationContext<RoleServer>,
    ) -> impl Future<Output = Result<(), ErrorData>> + Send + '_ {
        self.0.handle_notification(notification, cx)
    }

    fn get_info(&self) -> InitializeResult {
        Service::get_info(&self.0)
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Service::supported_protocol_versions(&self.0)
    }
}

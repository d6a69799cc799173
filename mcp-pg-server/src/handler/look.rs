//! Requests about the schema other than tool calls. They are counted and recorded like calls.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::{Arc, LazyLock};

use mcp_pg_core::audit::Client;
use mcp_pg_core::canned::Query;
use mcp_pg_core::policy::View;
use mcp_pg_core::{Code, Error, Origin, Principal};
use rmcp::model::{CustomRequest, ProtocolVersion, SubscriptionFilter};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ErrorData, RoleServer};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Handler, Parts, members};
use crate::json::TOO_DEEP;

/// The name of these requests in records and metrics.
pub(super) const READ: &str = "resources/read";
pub(super) const PROMPT: &str = "prompts/get";
pub(super) const COMPLETE: &str = "completion/complete";
const CALL: &str = "tools/call";
const LISTEN: &str = "subscriptions/listen";
const SUBSCRIBE: &str = "resources/subscribe";
const UNSUBSCRIBE: &str = "resources/unsubscribe";
const UNREADABLE: &str = "request";

/// The method that stands for a message that cannot be read; its parameters say why. No client knows it.
pub(crate) static UNREADABLE_METHOD: LazyLock<String> =
    LazyLock::new(|| format!("{UNREADABLE}/{:016x}", RandomState::new().build_hasher().finish()));

/// The member of its parameters that says that the message is valid JSON.
pub(crate) const NO_MESSAGE: &str = "noMessage";

/// The protocol's error for a message that cannot be read.
pub(super) fn unreadable(request: &CustomRequest, message: &str) -> ErrorData {
    let is_json = request.params.as_ref().is_some_and(|params| params.get(NO_MESSAGE).is_some());
    match is_json {
        true => ErrorData::invalid_request(message.to_owned(), None),
        false => ErrorData::parse_error(message.to_owned(), None),
    }
}

impl Handler {
    /// Answers a request by calling `look` with what the caller sees. `arguments` are recorded.
    pub(super) async fn look<T>(
        &self,
        cx: &RequestContext<RoleServer>,
        method: &'static str,
        arguments: Map<String, Value>,
        look: impl FnOnce(&View, &[Arc<Query>]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.look_as(self.caller(cx), &self.origin(cx), method, arguments, look).await
    }

    async fn look_as<T>(
        &self,
        caller: Result<&Principal, Error>,
        origin: &Origin,
        method: &'static str,
        arguments: Map<String, Value>,
        look: impl FnOnce(&View, &[Arc<Query>]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Parts { engine, limiter, metrics, .. } = &*self.0;
        let mut running = metrics.begin(method);
        let nobody = Principal::unknown("none");
        let actor = *caller.as_ref().unwrap_or(&&nobody);
        let found = match caller.and_then(|caller| Ok((limiter.admit(caller)?, caller))) {
            Ok((_permit, caller)) => {
                let answer = || look(&*engine.view(caller)?, &engine.queries(caller)?);
                engine.recorded(actor, origin, method, arguments, answer).await
            }
            // The caller is unknown.
            Err(error) => {
                engine.refuse(actor, origin, method, arguments, &error).await;
                Err(error)
            }
        };
        running.code = found.as_ref().err().map_or("ok", |error| error.code().as_str());
        found
    }

    /// The error of a request that does not fit the protocol: an unknown method, or wrong parameters of a known one.
    pub(super) async fn misfit(
        &self,
        cx: &RequestContext<RoleServer>,
        request: &CustomRequest,
    ) -> Option<Error> {
        // Since revision 2026-07-28, `subscriptions/listen` replaces this method.
        let listens = cx.protocol_version() >= Some(ProtocolVersion::V_2026_07_28);
        let subscribing: &[_] = if listens { &[LISTEN] } else { &[LISTEN, SUBSCRIBE, UNSUBSCRIBE] };
        let known = [CALL, READ, PROMPT, COMPLETE];
        let method = match request.method == *UNREADABLE_METHOD {
            true => &UNREADABLE,
            false => known.iter().chain(subscribing).find(|method| **method == request.method)?,
        };
        let given = match &request.params {
            Some(Value::Object(given)) => given.clone(),
            _ => Map::new(),
        };
        let text = |member: &str| given.get(member).and_then(Value::as_str);
        let misfit = |message: String| Error::new(Code::InvalidValue, message);
        let misfit = match *method {
            UNREADABLE => misfit(text("message").unwrap_or_default().to_owned()),
            LISTEN => {
                misfit(format!("the parameters are not those of {method}: {}", no_filter(&given)))
            }
            CALL if calls_a_tool(request) && given.contains_key(TOO_DEEP) => {
                Error::new(Code::LimitExceeded, "arguments are nested too deeply to be read")
                    .at("")
                    .hint("a message may have at most 127 levels of objects and lists")
            }
            CALL if calls_a_tool(request) => misfit("arguments must be an object".to_owned())
                .at("")
                .hint("{\"table\": …}, not a list, and not a text of JSON"),
            _ => misfit(format!("the parameters are not those of {method}")),
        };
        let misfit = |_: &View, _: &[Arc<Query>]| Err::<(), _>(misfit);
        self.look(cx, method, given, misfit).await.err()
    }

    /// Records and counts input that is not a message.
    pub(super) async fn unreadable(
        &self,
        cx: &NotificationContext<RoleServer>,
        params: Option<Value>,
    ) {
        let program = cx.peer.peer_info().map(|info| info.client_info.clone());
        let (name, version) = program.map(|program| (program.name, program.version)).unzip();
        let client = Client { name, version, address: None };
        let origin = Origin { transport: self.0.transport.into(), client };
        // Over HTTP, the gate records them.
        let Some(caller) = self.0.caller.as_ref().filter(|_| self.0.subscriptions.has_session())
        else {
            return;
        };
        let given = params.map(members).unwrap_or_default();
        let message = given.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
        let error =
            |_: &View, _: &[Arc<Query>]| Err::<(), _>(Error::new(Code::InvalidValue, message));
        let _ = self.look_as(Ok(caller), &origin, UNREADABLE, given, error).await;
    }
}

/// Whether an invalid request is a tool call whose arguments are not an object. The model can correct that, so it is
/// a tool result.
pub(super) fn calls_a_tool(request: &CustomRequest) -> bool {
    let given = |member| request.params.as_ref().and_then(|params| params.get(member));
    let arguments = given("arguments").is_some_and(|arguments| !arguments.is_object());
    request.method == CALL && arguments && given("name").is_some_and(Value::is_string)
}

/// Why these parameters are not a filter.
fn no_filter(given: &Map<String, Value>) -> String {
    const EXAMPLE: &str = "for example {\"notifications\": {\"toolsListChanged\": true}}";
    let Some(filter) = given.get("notifications") else {
        return format!("\"notifications\" is missing, {EXAMPLE}");
    };
    match SubscriptionFilter::deserialize(filter) {
        Ok(_) => EXAMPLE.to_owned(),
        Err(error) => format!("\"notifications\": {error}; {EXAMPLE}"),
    }
}

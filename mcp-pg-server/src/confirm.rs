//! Asking the user: by elicitation in a session, by a result that requires input where there is none.
//!
//! Knows how a question reaches the user and how the answer comes back; not what must be asked.
//!
//! Since revision 2026-07-28 the answer comes with the call itself, sent again. What this server then gets back
//! is sealed: it holds for one caller, one plan (see [`Question`]), one use and ten minutes. The key is this
//! process's own, so the call must come back to it, unless several share a [`StateKey`]; what is spent, each
//! process remembers for itself, and the audit table for all.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_pg_core::{Agreement, Code, Error, Principal, Question};
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, InputRequiredResult, InputResponses, ProtocolVersion, RequestStateCodec,
    SealOptions,
};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};

/// How long a question stands.
const PATIENCE: Duration = Duration::from_secs(600);

/// The name of the only question of a call.
const NAME: &str = "confirm";

/// How the user of a client can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// The client sends the call again, with the answer.
    Again,
    /// Within the session, while the call waits.
    Session,
    /// Not at all.
    None,
}

impl Means {
    /// What the client of this request can do; `session` tells whether it can be sent requests.
    pub(crate) fn of(cx: &RequestContext<RoleServer>, session: bool) -> Self {
        let capabilities = cx.client_capabilities();
        let form = capabilities.and_then(|all| all.elicitation).is_some_and(|elicitation| {
            // Who names neither, from before there were two, means forms.
            elicitation.form.is_some() || elicitation.url.is_none()
        });
        let version = cx.protocol_version();
        match version {
            _ if !form => Means::None,
            Some(version) if version >= ProtocolVersion::V_2026_07_28 => Means::Again,
            _ if session => Means::Session,
            _ => Means::None,
        }
    }
}

/// Asks in the session; true if the user agrees.
///
/// # Errors
///
/// `forbidden` if no answer comes.
pub(crate) async fn ask(peer: &Peer<RoleServer>, question: &Question) -> Result<bool, Error> {
    let answer = peer.create_elicitation_with_timeout(form(question), Some(PATIENCE)).await;
    match answer {
        Ok(answer) => Ok(answer.action == ElicitationAction::Accept),
        Err(error) => {
            Err(Error::new(Code::Forbidden, "the user could not be asked").caused_by(error))
        }
    }
}

/// What the user is shown: there is nothing to fill in, only to accept or decline.
fn form(question: &Question) -> ElicitRequestParams {
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question.text.clone(),
        requested_schema: ElicitationSchema::new(BTreeMap::new()),
    }
}

/// The error of a call that the user did not want.
pub(crate) fn declined() -> Error {
    Error::new(Code::Forbidden, "the user declined")
        .hint("do not try again unless the user asks for it")
}

/// A secret of 32 bytes: server processes that share it take the answers to each other's questions.
///
/// ```
/// let key = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=".parse::<mcp_pg_server::StateKey>();
/// assert!(key.is_ok());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StateKey([u8; 32]);

impl FromStr for StateKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("the key is 32 bytes in base64: openssl rand -base64 32")
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StateKey")
    }
}

/// The questions of this process that may still be answered.
pub(crate) struct Questions {
    codec: RequestStateCodec,
    /// How long the answers are waited for.
    lifetime: Duration,
    /// Those that were answered, until they would have expired.
    answered: Mutex<HashMap<String, Instant>>,
}

impl Questions {
    /// Sealed with this key, else with one of its own; none if the operating system gives no random numbers.
    pub(crate) fn new(shared: Option<StateKey>) -> Option<Self> {
        let key = match shared {
            Some(StateKey(key)) => key,
            None => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).ok()?;
                key
            }
        };
        let codec = RequestStateCodec::try_new(key).ok()?;
        Some(Self { codec, lifetime: PATIENCE, answered: Mutex::default() })
    }

    /// The question, as the result of the call that must be sent again.
    pub(crate) fn put(
        &self,
        question: &Question,
        caller: &Principal,
    ) -> Option<InputRequiredResult> {
        let mut number = [0; 16];
        getrandom::fill(&mut number).ok()?;
        let number: String = number.iter().map(|byte| format!("{byte:02x}")).collect();
        let owner = owner(caller);
        let options = SealOptions::new().associated_data(&owner).ttl(self.lifetime);
        let state =
            self.codec.seal_with(format!("{number} {}", question.plan).as_bytes(), &options);
        let request = InputRequest::Elicitation(ElicitRequest::new(form(question)));
        Some(InputRequiredResult::new(Some([(NAME.to_owned(), request)].into()), Some(state)))
    }

    /// What the user has agreed to, if the state that came back says so; it is spent.
    ///
    /// # Errors
    ///
    /// `forbidden` if the user declined.
    pub(crate) fn answer(
        &self,
        caller: &Principal,
        state: &str,
        responses: Option<&InputResponses>,
    ) -> Result<Option<Agreement>, Error> {
        let Some(response) = responses.and_then(|responses| responses.get(NAME)) else {
            return Ok(None);
        };
        // A foreign, changed or expired one is as good as none: the user is asked again.
        let Ok(opened) = self.codec.open_with(state, &owner(caller)) else { return Ok(None) };
        let opened = String::from_utf8_lossy(&opened).into_owned();
        let Some((number, plan)) = opened.split_once(' ') else { return Ok(None) };
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        answered.retain(|_, until| *until > now);
        if answered.insert(number.to_owned(), now + self.lifetime).is_some() {
            return Ok(None);
        }
        match serde_json::from_value::<ElicitResult>(response.clone()) {
            Ok(answer) if answer.action == ElicitationAction::Accept => {
                Ok(Some(Agreement { plan: plan.to_owned(), number: Some(number.to_owned()) }))
            }
            _ => Err(declined()),
        }
    }
}

/// Whose state it is.
fn owner(caller: &Principal) -> Vec<u8> {
    format!("{}\0{}\0{}", caller.method, caller.role, caller.subject).into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=";

    #[test]
    fn an_answer_that_comes_too_late_is_none() {
        let questions = |lifetime| Questions {
            lifetime,
            ..Questions::new(Some(KEY.parse().unwrap())).unwrap()
        };
        let usual = Questions::new(None).unwrap();
        assert_eq!(usual.lifetime, Duration::from_secs(600));

        let question = Question { text: "Allow this?".into(), plan: "plan".into() };
        let caller = Principal::new("ann", "admin");
        let accept = InputResponses::from([(NAME.to_owned(), json!({"action": "accept"}))]);
        let answered = |questions: &Questions, state: &str| {
            questions.answer(&caller, state, Some(&accept)).unwrap().map(|agreed| agreed.plan)
        };
        let state = |questions: &Questions| {
            questions.put(&question, &caller).unwrap().request_state.unwrap()
        };
        let brief = questions(Duration::from_millis(1));
        let late = state(&brief);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(answered(&brief, &late), None);
        // Wherever it is opened: how long it lasts is sealed with it.
        assert_eq!(answered(&questions(PATIENCE), &late), None);
        let long = questions(PATIENCE);
        let in_time = state(&long);
        assert_eq!(answered(&long, &in_time).as_deref(), Some("plan"));
        assert_eq!(answered(&long, &in_time), None, "it is spent");
    }
}

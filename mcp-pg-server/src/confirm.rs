//! Asks the user for a confirmation: by elicitation in a session, otherwise by a result that requests input.
//!
//! Knows how a question reaches the user and how the answer comes back, but not what needs a confirmation.
//!
//! Since revision 2026-07-28, the client sends the call again with the answer and a state from this server. The state
//! is encrypted, since a plan is a digest of values that the caller may not see, and valid for one caller, one plan (see
//! [`Question`]), one use and ten minutes. Each process has its own key, so the call must come back to the same process, unless several share a [`StateKey`]. Each process
//! remembers used states; the audit table remembers them for all processes.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use aes_gcm_siv::aead::Aead as _;
use aes_gcm_siv::{Aes256GcmSiv, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use mcp_pg_core::{Agreement, Code, Error, Principal, Question};
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, InputRequiredResult, InputResponses, ProtocolVersion, RequestStateCodec,
    SealOptions,
};
use rmcp::service::RequestContext;
use rmcp::{Peer, RoleServer};
use sha2::Sha256;

/// How long a question can be answered.
const PATIENCE: Duration = Duration::from_secs(600);

/// The most characters of a state. The engine bounds what it contains.
const STATE_MOST: usize = 32 << 10;

/// The name of the only question of a call.
const NAME: &str = "confirm";

/// A constant nonce: with AES-GCM-SIV, it reveals only whether two states are equal, and each has its own number.
const NONCE: [u8; 12] = [0; 12];

/// How a client can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// By a result, after which the client sends the call again with the answer.
    Again,
    /// In the session, while the call waits.
    Session,
    /// Not at all: before revision 2026-07-28, only in a session.
    Older,
    /// Not at all.
    None,
}

impl Means {
    /// How the client of this request can be asked. `session` tells whether requests can be sent to it.
    pub(crate) fn of(cx: &RequestContext<RoleServer>, session: bool) -> Self {
        let capabilities = cx.client_capabilities();
        let form = capabilities.and_then(|all| all.elicitation).is_some_and(|elicitation| {
            // A client that names neither mode supports forms, the only mode of earlier revisions.
            elicitation.form.is_some() || elicitation.url.is_none()
        });
        let version = cx.protocol_version();
        let again = version.is_some_and(|version| version >= ProtocolVersion::V_2026_07_28);
        match (again, session) {
            // What such a client declared was in another request.
            (false, false) => Means::Older,
            _ if !form => Means::None,
            (true, _) => Means::Again,
            (false, true) => Means::Session,
        }
    }
}

/// Asks in the session. Returns whether the user agrees.
///
/// # Errors
///
/// `forbidden` without an answer.
pub(crate) async fn ask(peer: &Peer<RoleServer>, question: &Question) -> Result<bool, Error> {
    let answer = peer.create_elicitation_with_timeout(form(question), Some(PATIENCE)).await;
    match answer {
        Ok(answer) => Ok(answer.action == ElicitationAction::Accept),
        Err(error) => {
            Err(Error::new(Code::Forbidden, "the user could not be asked").caused_by(error))
        }
    }
}

/// The question as a form without fields, which the user accepts or declines.
fn form(question: &Question) -> ElicitRequestParams {
    ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: question.text.clone(),
        requested_schema: ElicitationSchema::new(BTreeMap::new()),
    }
}

/// The error of a call whose client cannot be asked because of its revision.
pub(crate) fn too_old(error: Error) -> Error {
    error.hint("over HTTP, the user can be asked from protocol 2026-07-28 on; with older clients only over stdio")
}

/// The error of a call that the user declined.
pub(crate) fn declined() -> Error {
    Error::new(Code::Forbidden, "the user declined")
        .hint("do not try again unless the user asks for it")
}

/// A secret of 32 bytes. Server processes that share it accept the answers to each other's questions.
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

/// The questions of this process.
pub(crate) struct Questions {
    /// Signs states, with their callers and when they expire. It does not hide what is in them.
    codec: RequestStateCodec,
    /// Encrypts what is in them.
    cipher: Aes256GcmSiv,
    /// How long they can be answered.
    lifetime: Duration,
    /// Questions that were answered, until they expire.
    answered: Mutex<HashMap<String, Instant>>,
}

impl Questions {
    /// Seals states with the shared key, otherwise with a new one. `None` if the operating system has no random
    /// numbers.
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
        let purpose =
            Hmac::<Sha256>::new_from_slice(&key).ok()?.chain_update("mcp-pg state encryption");
        let cipher = Aes256GcmSiv::new(&purpose.finalize().into_bytes());
        Some(Self { codec, cipher, lifetime: PATIENCE, answered: Mutex::default() })
    }

    /// The result that asks the question. `None` if its state would be too long, or without random numbers.
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
        let plain = format!("{number} {}", question.plan);
        let encrypted = self.cipher.encrypt(&Nonce::from(NONCE), plain.as_bytes()).ok()?;
        let state = self.codec.seal_with(&encrypted, &options);
        if state.len() > STATE_MOST {
            return None;
        }
        let request = InputRequest::Elicitation(ElicitRequest::new(form(question)));
        Some(InputRequiredResult::new(Some([(NAME.to_owned(), request)].into()), Some(state)))
    }

    /// The user's confirmation, if the returned state is valid. It can be used once.
    ///
    /// # Errors
    ///
    /// `forbidden` if the user declined, whatever the state.
    pub(crate) fn answer(
        &self,
        caller: &Principal,
        state: Option<&str>,
        responses: Option<&InputResponses>,
    ) -> Result<Option<Agreement>, Error> {
        let Some(response) = responses.and_then(|responses| responses.get(NAME)) else {
            return Ok(None);
        };
        let agreement = state.and_then(|state| self.opened(caller, state));
        match serde_json::from_value::<ElicitResult>(response.clone()) {
            Ok(answer) if answer.action == ElicitationAction::Accept => Ok(agreement),
            Err(_) if agreement.is_none() => Ok(None),
            _ => Err(declined()),
        }
    }

    /// What the state asked for, if it is valid: otherwise the user is asked again. Afterwards it no longer is.
    fn opened(&self, caller: &Principal, state: &str) -> Option<Agreement> {
        let state = Some(state).filter(|state| state.len() <= STATE_MOST)?;
        let opened = self.codec.open_with(state, &owner(caller)).ok()?;
        let opened = self.cipher.decrypt(&Nonce::from(NONCE), opened.as_slice()).ok()?;
        let opened = String::from_utf8(opened).ok()?;
        let (number, plan) = opened.split_once(' ')?;
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        answered.retain(|_, until| *until > now);
        let spent = answered.insert(number.to_owned(), now + self.lifetime).is_some();
        (!spent).then(|| Agreement { plan: plan.to_owned(), number: Some(number.to_owned()) })
    }
}

/// The caller to whom a state is bound.
fn owner(caller: &Principal) -> Vec<u8> {
    format!("{}\0{}\0{}", caller.method, caller.role, caller.subject).into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_state_tells_nothing() {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let questions = Questions::new(Some(KEY.parse().unwrap())).unwrap();
        let question = Question { text: "Allow this?".into(), plan: "ab".repeat(200) };
        let state = || {
            let put = questions.put(&question, &Principal::new("ann", "admin")).unwrap();
            put.request_state.unwrap()
        };
        let parts = |state: String| -> Vec<Vec<u8>> {
            state.split('.').filter_map(|part| URL_SAFE_NO_PAD.decode(part).ok()).collect()
        };
        let (first, second) = (parts(state()), parts(state()));
        assert!(first.iter().any(|part| part.len() > 400), "{first:?}");
        // Nothing of the plan, nor what both have in common.
        for (part, other) in first.iter().zip(&second) {
            assert!(!part.windows(4).any(|bytes| bytes == b"abab"));
            let same =
                part.windows(8).skip(8).filter(|bytes| other.windows(8).any(|of| of == *bytes));
            assert_eq!(same.count(), 0);
        }
    }

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
            questions.answer(&caller, Some(state), Some(&accept)).unwrap().map(|agreed| agreed.plan)
        };
        let state = |questions: &Questions| {
            questions.put(&question, &caller).unwrap().request_state.unwrap()
        };
        let brief = questions(Duration::from_millis(1));
        let late = state(&brief);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(answered(&brief, &late), None);
        // The lifetime is sealed with the state, so it does not depend on who opens it.
        assert_eq!(answered(&questions(PATIENCE), &late), None);
        let long = questions(PATIENCE);
        let in_time = state(&long);
        assert_eq!(answered(&long, &in_time).as_deref(), Some("plan"));
        assert_eq!(answered(&long, &in_time), None, "it is spent");

        let of = |bytes: usize| Question { text: "Allow?".into(), plan: "x".repeat(bytes) };
        assert!(long.put(&of(17 << 10), &caller).is_some());
        assert!(long.put(&of(32 << 10), &caller).is_none());

        let decline = InputResponses::from([(NAME.to_owned(), json!({"action": "decline"}))]);
        for state in [Some(in_time.as_str()), Some("other"), None] {
            assert!(long.answer(&caller, state, Some(&decline)).is_err(), "{state:?}");
        }
    }
}

//! A record of the audit log, before it has its place in the chain.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::error::Code;

/// A record of the audit log. The sink adds `seq`, `prev` and `hash`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// The time, as RFC 3339 in UTC with microseconds.
    pub time: String,
    /// The call's id: the same in its intent and its outcome.
    pub id: String,
    /// Whether this is the intent of a write, or the outcome of a call.
    pub phase: Phase,
    /// The caller.
    pub actor: Actor,
    /// The caller's program.
    pub client: Client,
    /// `stdio`, `http`, `cli` or `library`.
    pub transport: String,
    /// The called tool.
    pub tool: String,
    /// The operation: `select`, `insert`, …
    pub operation: String,
    /// The table, as `schema.name`, if it is known to exist for the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The arguments, redacted as configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// The SQL texts of its statements, without parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<String>,
    /// The number of the confirmation that came with the call. It can be used only once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<String>,
    /// What each operation of a transaction wrote, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<Written>,
    /// How many rows were returned or affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The sensitive columns whose values were returned: `column` or `relation.column`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<String>,
    /// How it ended; absent in an intent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The error's code, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Milliseconds since the call arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// The written rows before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The written rows after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// An operation of a transaction that wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// Its place in the arguments, as a JSON Pointer.
    pub at: String,
    /// `insert`, `update`, …
    pub operation: String,
    /// The table, as `schema.name`.
    pub table: String,
    /// How many rows were affected.
    pub rows: u64,
    /// How many rows of [`Event::before`] are its, after those of the operations before it.
    pub before: usize,
    /// The same for [`Event::after`].
    pub after: usize,
}

/// Which part of a call an [`Event`] records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// A write is about to be committed.
    Intent,
    /// The call has ended.
    Outcome,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done.
    Ok,
    /// Not allowed, not authenticated, or too frequent.
    Denied,
    /// Failed.
    Error,
}

/// The caller, in a record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Actor {
    /// The name in the credentials.
    pub subject: String,
    /// The role whose grants applied.
    pub role: String,
    /// How the caller was authenticated: `command_line`, `loopback`, `api_key`, `jwt`, `library`, or what an embedding
    /// application says. For a caller who was not: `bearer` if there was a token, else `none`.
    pub method: String,
}

/// The caller's program.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Client {
    /// The name it gives itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The version it gives itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its network address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

impl Event {
    /// Makes it that of a call that failed: it has written and returned nothing, and may not have used its
    /// confirmation.
    pub(crate) fn fail(&mut self, code: Option<Code>) {
        self.outcome = Some(code.map_or(Outcome::Error, Outcome::of));
        self.code = code;
        (self.rows, self.before, self.after) = (None, None, None);
        self.operations.clear();
        self.confirmation = None;
    }
}

impl Outcome {
    /// The outcome of a call that ended with this code.
    pub fn of(code: Code) -> Self {
        match code {
            Code::Forbidden | Code::Unauthenticated | Code::RateLimited => Outcome::Denied,
            _ => Outcome::Error,
        }
    }
}

/// A duration in milliseconds, rounded to microseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

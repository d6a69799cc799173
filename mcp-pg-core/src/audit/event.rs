//! One line of the audit log, before it has its place in the chain.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::error::Code;

/// What happened, as the audit keeps it; the sink adds `seq`, `prev` and `hash`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// When, RFC 3339 in UTC with microseconds.
    pub time: String,
    /// The call's id: the same in its intent and its outcome.
    pub id: String,
    /// Before the commit, or after all.
    pub phase: Phase,
    /// Who asked.
    pub actor: Actor,
    /// Through which client program.
    pub client: Client,
    /// `stdio`, `http`, `cli` or `library`.
    pub transport: String,
    /// The tool that was called.
    pub tool: String,
    /// The operation: `select`, `insert`, …
    pub operation: String,
    /// The table, as `schema.name`, once it is known to exist for the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The arguments, redacted as configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Value>,
    /// The statements' text; parameters are not in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<String>,
    /// The number of the confirmation that a write is done under, where one came with the call: it is used once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<String>,
    /// How many rows were returned or touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The columns marked as sensitive whose values were answered: `column`, or `relation.column`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<String>,
    /// How it ended; absent in an intent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The error's code, unless it ended well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Milliseconds from the call's arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// The written rows as they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The written rows as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Which half of a call an [`Event`] tells.
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
    /// Refused: not allowed, or not authenticated, or too often.
    Denied,
    /// Failed.
    Error,
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Actor {
    /// The name in the credentials.
    pub subject: String,
    /// The role whose rights applied.
    pub role: String,
    /// How the caller was known: `command_line`, `loopback`, `api_key`, `jwt`, `library`, or what an embedding
    /// application says; of one who is not, `bearer` if there were credentials, else `none`.
    pub method: String,
}

/// The program on the other side.
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

impl Outcome {
    /// How a call that ended with this code is filed.
    pub fn of(code: Code) -> Self {
        match code {
            Code::Forbidden | Code::Unauthenticated | Code::RateLimited => Outcome::Denied,
            _ => Outcome::Error,
        }
    }
}

/// A duration as the audit writes it: milliseconds, to the microsecond.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

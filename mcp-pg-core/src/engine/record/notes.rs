//! The notes on a call, and the audit event made of them.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

use serde_json::{Map, Value, json};

use super::Origin;
use super::image::Image;
use super::redaction::Redaction;
use crate::audit::{Actor, Event, Outcome, Phase, Written, milliseconds};
use crate::engine::size::size;
use crate::error::{Error, Result};

/// What is noted while a call runs.
pub(super) struct Notes {
    pub(super) id: String,
    pub(super) started: Instant,
    pub(super) actor: Actor,
    pub(super) origin: Origin,
    pub(super) tool: String,
    pub(super) operation: Option<&'static str>,
    pub(super) arguments: Map<String, Value>,
    /// If the arguments have more bytes, only their size is recorded.
    pub(super) arguments_most: usize,
    /// Their size, once it is measured.
    pub(super) arguments_size: OnceLock<usize>,
    /// Them as redacted in a call that was not refused, once they are.
    pub(super) accepted: OnceLock<Value>,
    pub(super) table: Option<String>,
    pub(super) sql: Vec<String>,
    /// Of a transaction.
    pub(super) operations: Vec<Written>,
    pub(super) rows: Option<u64>,
    pub(super) sensitive: Vec<String>,
    pub(super) confirmation: Option<String>,
    pub(super) before: Image,
    pub(super) after: Image,
    /// The redaction for the call's view, even if the catalogue is replaced meanwhile.
    pub(super) redaction: Redaction,
    pub(super) stage: Stage,
}

/// The progress of a call that may write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is committed.
    Open,
    /// The commit was sent; only the database knows its result. `intended` tells that an intent was stored.
    Committing { intended: bool },
    /// It is committed.
    Committed,
}

impl Notes {
    /// The event at the end of the call.
    pub(super) fn outcome(&self, result: Result<(), &Error>) -> Event {
        let mut event = self.event(Phase::Outcome, result.is_err());
        event.outcome = Some(Outcome::Ok);
        if let Err(error) = result {
            event.fail(Some(error.code()));
            if error.get_current().is_none() {
                event.sensitive.clear();
            }
        }
        event
    }

    /// The event of a call whose caller disconnected: an error without a code.
    pub(super) fn abandoned(&self) -> Event {
        let mut event = self.event(Phase::Outcome, true);
        event.fail(None);
        event.sensitive.clear();
        event
    }

    /// Changes what is redacted.
    pub(super) fn redact(&mut self, change: impl FnOnce(&mut Redaction)) {
        change(&mut self.redaction);
        self.accepted.take();
    }

    /// The arguments, if the record has room for them. Larger ones would take long to redact.
    fn kept_arguments(&self, refused: bool) -> Value {
        let bytes = *self.arguments_size.get_or_init(|| size(&self.arguments));
        if bytes > self.arguments_most {
            return json!({"omitted": format!("{bytes} bytes")});
        }
        let redacted = || self.redaction.arguments(&self.arguments, refused);
        match refused {
            true => redacted(),
            // A write has several events.
            false => self.accepted.get_or_init(redacted).clone(),
        }
    }

    /// The event of a call. `refused` also stands for calls with an unknown outcome.
    pub(super) fn event(&self, phase: Phase, refused: bool) -> Event {
        Event {
            time: now(),
            id: self.id.clone(),
            phase,
            actor: self.actor.clone(),
            client: self.origin.client.clone(),
            transport: self.origin.transport.clone(),
            tool: self.tool.clone(),
            operation: self.operation.map_or_else(|| self.tool.clone(), str::to_owned),
            table: self.table.clone(),
            arguments: Some(self.kept_arguments(refused)),
            sql: self.sql.clone(),
            confirmation: self.confirmation.clone(),
            operations: self.operations.clone(),
            rows: self.rows,
            sensitive: self.sensitive.clone(),
            outcome: None,
            code: None,
            duration_ms: (phase == Phase::Outcome).then(|| milliseconds(self.started.elapsed())),
            before: self.before.kept(),
            after: self.after.kept(),
        }
    }
}

fn now() -> String {
    match jiff::Timestamp::try_from(SystemTime::now()) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => String::new(),
    }
}

//! What is noted of a call, and the audit event that it becomes.

use std::time::{Instant, SystemTime};

use serde_json::{Map, Value, json};

use super::Origin;
use super::image::Image;
use super::redaction::Redaction;
use crate::audit::{Actor, Event, Outcome, Phase, milliseconds};
use crate::error::{Error, Result};

/// What is noted of a call while it runs.
pub(super) struct Notes {
    pub(super) id: String,
    pub(super) started: Instant,
    pub(super) actor: Actor,
    pub(super) origin: Origin,
    pub(super) tool: String,
    pub(super) operation: Option<&'static str>,
    pub(super) arguments: Map<String, Value>,
    /// Of more bytes than these, only their number is kept.
    pub(super) arguments_most: usize,
    pub(super) table: Option<String>,
    pub(super) sql: Vec<String>,
    pub(super) rows: Option<u64>,
    pub(super) sensitive: Vec<String>,
    pub(super) confirmation: Option<String>,
    pub(super) before: Image,
    pub(super) after: Image,
    /// As the call sees the columns, whatever is reloaded meanwhile.
    pub(super) redaction: Redaction,
    pub(super) stage: Stage,
}

/// How far a call has come that may write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing is written.
    Open,
    /// It is being committed: only the database knows. `intended` says that an intent is kept.
    Committing { intended: bool },
    /// It is written.
    Committed,
}

impl Notes {
    /// The event that ends the call.
    pub(super) fn outcome(&self, result: Result<(), &Error>) -> Event {
        let mut event = self.event(Phase::Outcome, result.is_err());
        event.outcome = Some(match result {
            Ok(()) => Outcome::Ok,
            Err(error) => Outcome::of(error.code()),
        });
        event.code = result.err().map(Error::code);
        if result.is_err() {
            // Nothing was written or answered, whatever was about to be.
            (event.rows, event.before, event.after) = (None, None, None);
            event.confirmation = None;
            if result.is_err_and(|error| error.get_current().is_none()) {
                event.sensitive.clear();
            }
        }
        event
    }

    /// The event of a call that nobody waited for: an error without a code.
    pub(super) fn abandoned(&self) -> Event {
        let mut event = self.event(Phase::Outcome, true);
        event.outcome = Some(Outcome::Error);
        (event.rows, event.before, event.after) = (None, None, None);
        // It may still be used, if it was not.
        event.confirmation = None;
        event.sensitive.clear();
        event
    }

    /// The arguments as far as the record has room for them: it would take long to look through others.
    fn kept_arguments(&self, refused: bool) -> Value {
        let bytes = serde_json::to_string(&self.arguments).map_or(0, |text| text.len());
        match bytes <= self.arguments_most {
            true => self.redaction.arguments(&self.arguments, refused),
            false => json!({"omitted": format!("{bytes} bytes")}),
        }
    }

    /// The event of a call that was `refused`, or was not as far as is known.
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

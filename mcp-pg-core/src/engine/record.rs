//! What is noted of a call while it runs, and how it becomes an audit event.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde_json::{Map, Value, json};

use super::Engine;
use crate::audit::{Actor, Client, Event, Outcome, Phase, milliseconds};
use crate::error::{Error, Result};
use crate::name::TableName;
use crate::policy::{AuditValues, Principal, View};

/// Whence a call came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// `stdio`, `http`, `cli` or `library`.
    pub transport: String,
    /// The program on the other side.
    pub client: Client,
}

/// A call while it runs; nothing is noted where no sink would keep it.
pub(super) struct Record(Option<Box<Notes>>);

struct Notes {
    id: String,
    started: Instant,
    actor: Actor,
    origin: Origin,
    tool: String,
    arguments: Map<String, Value>,
    table: Option<String>,
    sql: Vec<String>,
    rows: Option<u64>,
    before: Vec<Value>,
    after: Vec<Value>,
}

/// Which values the audit may not hold.
pub(super) struct Redaction {
    values: AuditValues,
    images: bool,
    view: Option<Arc<View>>,
}

impl Record {
    fn new(caller: &Principal, origin: &Origin, tool: &str, arguments: Map<String, Value>) -> Self {
        Self(Some(Box::new(Notes {
            id: uuid::Uuid::now_v7().to_string(),
            started: Instant::now(),
            actor: Actor {
                subject: caller.subject.clone(),
                role: caller.role.clone(),
                method: caller.method.clone(),
            },
            origin: origin.clone(),
            tool: tool.to_owned(),
            arguments,
            table: None,
            sql: Vec::new(),
            rows: None,
            before: Vec::new(),
            after: Vec::new(),
        })))
    }

    pub(super) fn table(&mut self, name: &TableName) {
        // A transaction names its tables in its arguments.
        if let Some(notes) = &mut self.0
            && notes.tool != "transaction"
        {
            notes.table = Some(name.to_string());
        }
    }

    pub(super) fn statement(&mut self, sql: &str) {
        if let Some(notes) = &mut self.0
            && !notes.sql.iter().any(|known| known == sql)
        {
            notes.sql.push(sql.to_owned());
        }
    }

    pub(super) fn images(&mut self, before: &[Value], after: &[Value]) {
        if let Some(notes) = &mut self.0 {
            notes.before.extend_from_slice(before);
            notes.after.extend_from_slice(after);
        }
    }

    pub(super) fn rows(&mut self, rows: u64) {
        if let Some(notes) = &mut self.0 {
            notes.rows = Some(notes.rows.unwrap_or_default() + rows);
        }
    }

    /// Forgets what was noted of an attempt that came to nothing.
    pub(super) fn forget(&mut self) {
        if let Some(notes) = &mut self.0 {
            notes.sql.clear();
            notes.rows = None;
            notes.before.clear();
            notes.after.clear();
        }
    }
}

impl Notes {
    /// The event that ends the call.
    fn outcome(&self, result: Result<(), &Error>, redaction: &Redaction) -> Event {
        let mut event = self.event(Phase::Outcome, redaction);
        event.outcome = Some(match result {
            Ok(()) => Outcome::Ok,
            Err(error) => Outcome::of(error.code()),
        });
        event.code = result.err().map(Error::code);
        event.duration_ms = Some(milliseconds(self.started.elapsed()));
        event
    }

    fn event(&self, phase: Phase, redaction: &Redaction) -> Event {
        let image = |rows: &[Value]| {
            (redaction.images && redaction.values != AuditValues::None && !rows.is_empty())
                .then(|| Value::Array(rows.iter().map(|row| redaction.apply(row)).collect()))
        };
        Event {
            time: now(),
            id: self.id.clone(),
            phase,
            actor: self.actor.clone(),
            client: self.origin.client.clone(),
            transport: self.origin.transport.clone(),
            tool: self.tool.clone(),
            operation: self.tool.clone(),
            table: self.table.clone(),
            arguments: Some(redaction.apply(&Value::Object(self.arguments.clone()))),
            sql: self.sql.clone(),
            rows: self.rows,
            outcome: None,
            code: None,
            duration_ms: None,
            before: image(&self.before),
            after: image(&self.after),
        }
    }
}

impl Redaction {
    /// Whether values under this name are masked somewhere.
    fn hides(&self, name: &str) -> bool {
        self.view.as_ref().is_some_and(|view| view.masked_names().contains(name))
    }

    /// The value with what may not be kept replaced.
    fn apply(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| {
                    let member = match self.hides(name) {
                        true => json!("[redacted]"),
                        false => self.apply(member),
                    };
                    (name.clone(), member)
                })
                .collect::<Map<_, _>>()
                .into(),
            Value::Array(items) => items.iter().map(|item| self.apply(item)).collect(),
            leaf if self.values == AuditValues::None && !leaf.is_null() => json!("[omitted]"),
            leaf => leaf.clone(),
        }
    }
}

impl Engine {
    /// Which values of this caller's calls the audit may not hold.
    fn redaction(&self, caller: &Principal) -> Redaction {
        let detail = self.settings.audit;
        let view = match detail.values {
            AuditValues::Redacted => self.view(caller).ok(),
            AuditValues::Full | AuditValues::None => None,
        };
        Redaction { values: detail.values, images: detail.images, view }
    }

    /// The record of a call that begins.
    pub(super) fn record(
        &self,
        caller: &Principal,
        origin: &Origin,
        tool: &str,
        arguments: impl FnOnce() -> Map<String, Value>,
    ) -> Record {
        match self.audit {
            Some(_) => Record::new(caller, origin, tool, arguments()),
            None => Record(None),
        }
    }

    /// Keeps the intent of a write, before its commit.
    pub(super) async fn keep_intent(&self, caller: &Principal, record: &Record) -> Result<()> {
        match (&self.audit, &record.0) {
            (Some(sink), Some(notes)) => {
                sink.keep(notes.event(Phase::Intent, &self.redaction(caller))).await
            }
            _ => Ok(()),
        }
    }

    /// Records how the call ended.
    pub(super) fn settle(
        &self,
        caller: &Principal,
        tool: &str,
        record: Record,
        result: Result<(), &Error>,
    ) {
        if let (Some(sink), Some(notes)) = (&self.audit, record.0)
            && let Err(error) = sink.post(notes.outcome(result, &self.redaction(caller)))
        {
            tracing::error!(%error, "an audit record may be lost");
        }
        if let Err(error) = result
            && let Some(cause) = std::error::Error::source(error)
        {
            tracing::debug!(code = %error.code(), tool, cause = %chain(cause), "refused");
        }
    }
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        line = format!("{line}: {inner}");
        cause = inner.source();
    }
    line
}

fn now() -> String {
    match jiff::Timestamp::try_from(SystemTime::now()) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => String::new(),
    }
}

//! What is noted of a call while it runs, and how it becomes an audit event.

use std::collections::HashSet;
use std::time::{Instant, SystemTime};

use serde_json::{Map, Value, json};

use super::Engine;
use crate::audit::{Actor, Client, Event, Outcome, Phase, milliseconds};
use crate::error::{Error, Result};
use crate::name::TableName;
use crate::policy::{AuditValues, Principal};
use crate::reply::Reply;

/// Whence a call came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// `stdio`, `http`, `cli` or `library`.
    pub transport: String,
    /// The program on the other side.
    pub client: Client,
}

/// A call while it runs.
pub(super) struct Record {
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
    names: HashSet<String>,
}

impl Record {
    pub(super) fn new(
        caller: &Principal,
        origin: &Origin,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Self {
        Self {
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
        }
    }

    pub(super) fn table(&mut self, name: &TableName) {
        // A transaction names its tables in its arguments.
        if self.tool != "transaction" {
            self.table = Some(name.to_string());
        }
    }

    pub(super) fn statement(&mut self, sql: &str) {
        if !self.sql.iter().any(|known| known == sql) {
            self.sql.push(sql.to_owned());
        }
    }

    pub(super) fn images(&mut self, before: &[Value], after: &[Value]) {
        self.before.extend_from_slice(before);
        self.after.extend_from_slice(after);
    }

    pub(super) fn rows(&mut self, rows: u64) {
        self.rows = Some(self.rows.unwrap_or_default() + rows);
    }

    /// Forgets what was noted of an attempt that came to nothing.
    pub(super) fn forget(&mut self) {
        self.sql.clear();
        self.rows = None;
        self.before.clear();
        self.after.clear();
    }

    /// The event that must be kept before a commit.
    pub(super) fn intent(&self, redaction: &Redaction) -> Event {
        self.event(Phase::Intent, redaction)
    }

    /// The event that ends the call.
    pub(super) fn outcome(&self, result: Result<(), &Error>, redaction: &Redaction) -> Event {
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
    /// The value with what may not be kept replaced.
    fn apply(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, member)| {
                    let member = match self.names.contains(name) {
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
    pub(super) fn redaction(&self, caller: &Principal) -> Redaction {
        let detail = self.settings.audit;
        let names = match (detail.values, self.view(caller)) {
            (AuditValues::Redacted, Ok(view)) => view.masked_names(),
            _ => HashSet::new(),
        };
        Redaction { values: detail.values, images: detail.images, names }
    }

    /// Records how the call ended, and passes its result on.
    pub(super) fn settle(&self, record: Record, result: Result<Reply>) -> Result<Reply> {
        if self.audit.is_some() {
            let caller = Principal::new(record.actor.subject.clone(), record.actor.role.clone());
            let outcome = result.as_ref().map(|_| ());
            self.post(record.outcome(outcome, &self.redaction(&caller)));
        }
        if let Err(error) = &result
            && let Some(cause) = std::error::Error::source(error)
        {
            tracing::debug!(code = %error.code(), tool = record.tool, cause = %chain(cause), "refused");
        }
        result
    }

    pub(super) fn post(&self, event: Event) {
        if let Some(sink) = &self.audit
            && let Err(error) = sink.post(event)
        {
            tracing::error!(%error, "an audit record may be lost");
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

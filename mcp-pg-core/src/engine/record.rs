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
    /// An intent was sent to be kept.
    intended: bool,
}

/// A call that its record follows to the end, even if that is the caller's going away.
pub(super) struct Call<'e> {
    engine: &'e Engine,
    pub(super) record: Record,
    settled: bool,
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
            intended: false,
        }
    }

    pub(super) fn table(&mut self, name: &TableName) {
        self.table = Some(name.to_string());
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
        self.forget_images();
    }

    /// Forgets the images of rows that will not be kept.
    pub(super) fn forget_images(&mut self) {
        self.before.clear();
        self.after.clear();
    }

    /// The event that must be kept before a commit.
    pub(super) fn intent(&mut self, redaction: &Redaction) -> Event {
        self.intended = true;
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
        if result.is_err() {
            // Nothing was written, whatever was about to be.
            (event.rows, event.before, event.after) = (None, None, None);
        }
        event
    }

    /// The event of a call that nobody waited for: an error without a code.
    fn abandoned(&self, redaction: &Redaction) -> Event {
        let mut event = self.event(Phase::Outcome, redaction);
        event.outcome = Some(Outcome::Error);
        (event.rows, event.before, event.after) = (None, None, None);
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
            duration_ms: (phase == Phase::Outcome).then(|| milliseconds(self.started.elapsed())),
            before: image(&self.before),
            after: image(&self.after),
        }
    }
}

impl Redaction {
    /// The value with what may not be kept replaced.
    fn apply(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                // `{"column": "email", "eq": …}` is as much about it as `{"email": …}`.
                let named = members.get("column").and_then(Value::as_str);
                let hidden = named.is_some_and(|name| self.names.contains(name));
                let member = |(name, member): (&String, &Value)| {
                    let member = match self.names.contains(name) || hidden && name != "column" {
                        true => json!("[redacted]"),
                        false => self.apply(member),
                    };
                    (name.clone(), member)
                };
                members.iter().map(member).collect::<Map<_, _>>().into()
            }
            Value::Array(items) => items.iter().map(|item| self.apply(item)).collect(),
            leaf if self.values == AuditValues::None && !leaf.is_null() => json!("[omitted]"),
            // Arguments may come as text of JSON.
            Value::String(text)
                if !self.names.is_empty() && text.trim_start().starts_with(['{', '[']) =>
            {
                match serde_json::from_str(text) {
                    Ok(inner) => Value::String(self.apply(&inner).to_string()),
                    Err(_) => value.clone(),
                }
            }
            leaf => leaf.clone(),
        }
    }
}

impl<'e> Call<'e> {
    pub(super) fn new(engine: &'e Engine, record: Record) -> Self {
        Self { engine, record, settled: false }
    }

    /// Records how the call ended, and passes its result on.
    pub(super) fn settle(mut self, result: Result<Reply>) -> Result<Reply> {
        self.settled = true;
        let record = &self.record;
        if self.engine.audit.is_some() {
            let outcome = result.as_ref().map(|_| ());
            self.engine.post(record.outcome(outcome, &self.redaction()));
        }
        if let Err(error) = &result
            && let Some(cause) = std::error::Error::source(error)
        {
            tracing::debug!(code = %error.code(), tool = record.tool, cause = %chain(cause), "refused");
        }
        result
    }

    fn redaction(&self) -> Redaction {
        let actor = &self.record.actor;
        self.engine.redaction(&Principal::new(actor.subject.clone(), actor.role.clone()))
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        // After an intent only the database knows.
        if !self.settled && !self.record.intended && self.engine.audit.is_some() {
            self.engine.post(self.record.abandoned(&self.redaction()));
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

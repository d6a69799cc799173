//! The record of a call: what is noted while it runs, and how it becomes an audit event.

mod hidden_names;
mod image;
mod journal;
mod notes;
mod redaction;
mod sinks;

pub use journal::verify_table;
pub(super) use sinks::Sinks;
use sinks::Which;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use serde_json::{Map, Value};

use crate::audit::{Actor, Client, Entry, PART_MOST, Phase, Written, milliseconds, name};
use crate::engine::Engine;
use crate::engine::catalogue::Catalogue;
use crate::engine::confirm::Consent;
use crate::error::{Code, Error, Result};
use crate::policy::{OnFailure, Principal, Settings, View};
use crate::request::Request;
use image::Image;
use notes::{Notes, Stage};
use redaction::Redaction;

/// Where a call came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `stdio`, `http`, `cli` or `library`.
    pub transport: String,
    /// The client program.
    pub client: Client,
}

impl Default for Origin {
    /// The application that embeds the engine.
    fn default() -> Self {
        Self { transport: "library".into(), client: Client::default() }
    }
}

/// A running call. Its record is written at the end, even if the caller disconnects. Nothing is noted if there are no
/// sinks.
pub(in crate::engine) struct Record<'e> {
    engine: &'e Engine,
    tool: &'e str,
    role: &'e str,
    began: Instant,
    /// The table of a call that timed out.
    late: Option<String>,
    notes: Option<Box<Notes>>,
    /// The request with the user's confirmation, if it needs one.
    pub(in crate::engine) consent: Option<Consent>,
}

impl<'e> Record<'e> {
    /// Begins a record.
    pub(in crate::engine) fn new(
        engine: &'e Engine,
        caller: &'e Principal,
        origin: &Origin,
        tool: &'e str,
        arguments: impl FnOnce() -> Map<String, Value>,
    ) -> Self {
        let began = Instant::now();
        let notes = (!engine.sinks.is_empty()).then(|| {
            Box::new(Notes {
                id: uuid::Uuid::now_v7().to_string(),
                started: began,
                actor: Actor {
                    subject: caller.subject.clone(),
                    role: caller.role.clone(),
                    method: caller.method.clone(),
                },
                origin: Origin {
                    transport: origin.transport.clone(),
                    client: Client {
                        name: origin.client.name.as_deref().map(name),
                        version: origin.client.version.as_deref().map(name),
                        address: origin.client.address.clone(),
                    },
                },
                tool: name(tool),
                operation: None,
                arguments: arguments(),
                arguments_most: PART_MOST,
                arguments_size: OnceLock::new(),
                accepted: OnceLock::new(),
                table: None,
                sql: Vec::new(),
                operations: Vec::new(),
                rows: None,
                sensitive: Vec::new(),
                confirmation: None,
                before: Image::default(),
                after: Image::default(),
                redaction: redaction(&engine.catalogue.load(), caller, tool),
                stage: Stage::Open,
            })
        });
        Self { engine, tool, role: &caller.role, began, late: None, notes, consent: None }
    }

    /// Begins an attempt with this view and these settings.
    pub(in crate::engine) fn begin(&mut self, view: &Arc<View>, settings: &Settings) {
        if let Some(notes) = &mut self.notes {
            let begun = Redaction::new(&settings.audit, Some(Arc::clone(view)));
            notes.redact(|redaction| *redaction = begun);
        }
    }

    /// Notes which arguments and columns of the reply have values of a table's column, whose name is the second of
    /// each pair.
    pub(in crate::engine) fn meant<'n>(&mut self, names: impl Iterator<Item = (&'n str, &'n str)>) {
        if let Some(notes) = &mut self.notes {
            notes.redact(|redaction| redaction.mean(names));
        }
    }

    /// [`Record::meant`] for a canned query.
    pub(in crate::engine) fn declared<'n>(
        &mut self,
        names: impl Iterator<Item = (&'n str, &'n str)>,
    ) {
        if let Some(notes) = &mut self.notes {
            notes.redact(|redaction| redaction.declare(names));
        }
    }

    /// Notes what the tool does, if its name does not tell.
    pub(in crate::engine) fn operation(&mut self, operation: &'static str) {
        if let Some(notes) = &mut self.notes {
            notes.operation = Some(operation);
        }
    }

    /// Notes the requested table, if it exists.
    pub(in crate::engine) fn table(&mut self, view: &View, request: &Request) {
        if let Some(notes) = &mut self.notes
            && let Some(table) = request.table().and_then(|name| view.table(name).ok())
        {
            notes.table = Some(table.name().to_string());
        }
    }

    /// Notes that the call timed out.
    pub(in crate::engine) fn late(&mut self, view: &View, request: &Request) {
        let table = request.table().and_then(|name| view.table(name).ok());
        self.late = table.map(|table| table.name().to_string());
    }

    pub(in crate::engine) fn statement(&mut self, sql: &str) {
        if let Some(notes) = &mut self.notes
            && !notes.sql.iter().any(|known| known == sql)
        {
            notes.sql.push(sql.to_owned());
        }
    }

    /// Whether the audit log keeps the rows before and after writes.
    pub(in crate::engine) fn keeps_images(&self) -> bool {
        self.notes.as_ref().is_some_and(|notes| notes.redaction.keeps_images())
    }

    /// Notes rows before the write, if they are kept. `cut` tells that further rows are missing.
    pub(in crate::engine) fn before(&mut self, rows: &[Map<String, Value>], cut: bool) {
        if let Some(notes) = self.notes.as_mut().filter(|notes| notes.redaction.keeps_images()) {
            notes.before.add(rows, cut, &notes.redaction);
        }
    }

    /// The same for rows after the write.
    pub(in crate::engine) fn after(&mut self, rows: &[Map<String, Value>], cut: bool) {
        if let Some(notes) = self.notes.as_mut().filter(|notes| notes.redaction.keeps_images()) {
            notes.after.add(rows, cut, &notes.redaction);
        }
    }

    /// Notes what an operation of a transaction wrote.
    pub(in crate::engine) fn wrote(&mut self, written: impl FnOnce() -> Written) {
        if let Some(notes) = &mut self.notes {
            notes.operations.push(written());
        }
    }

    pub(in crate::engine) fn rows(&mut self, rows: u64) {
        if let Some(notes) = &mut self.notes {
            notes.rows = Some(notes.rows.unwrap_or_default() + rows);
        }
    }

    /// Notes the sensitive columns in the reply.
    pub(in crate::engine) fn sensitive(&mut self, columns: impl FnOnce() -> Vec<String>) {
        if let Some(notes) = &mut self.notes {
            for column in columns() {
                if !notes.sensitive.contains(&column) {
                    notes.sensitive.push(column);
                }
            }
        }
    }

    /// Notes the sensitive columns that a refusal shows. They replace those of the reply, which is not sent.
    pub(in crate::engine) fn sensitive_refusal(&mut self, columns: impl FnOnce() -> Vec<String>) {
        if let Some(notes) = &mut self.notes {
            notes.sensitive = columns();
        }
    }

    /// Forgets an attempt that failed.
    pub(in crate::engine) fn forget(&mut self) {
        if let Some(notes) = &mut self.notes {
            notes.sql.clear();
            notes.rows = None;
            notes.stage = Stage::Open;
        }
        self.forget_images();
    }

    /// Forgets the images of rows that were rolled back.
    pub(in crate::engine) fn forget_images(&mut self) {
        if let Some(notes) = &mut self.notes {
            notes.operations.clear();
            notes.before = Image::default();
            notes.after = Image::default();
        }
    }

    /// Stores the intent of a write before its commit. Returns the entry to commit with it, if any.
    pub(in crate::engine) async fn intend(&mut self) -> Result<Option<Entry>> {
        let Some(notes) = &mut self.notes else { return Ok(None) };
        let sinks = &self.engine.sinks;
        let number = self.consent.as_ref().and_then(Consent::number);
        notes.confirmation = number.map(str::to_owned);
        let intended = sinks.keep_intent(|| notes.event(Phase::Intent, false)).await?;
        let entry = sinks.entry(|| notes.outcome(Ok(())))?;
        notes.stage = Stage::Committing { intended };
        Ok(entry)
    }

    /// Notes that the write was committed, and with it the outcome if there is an audit table.
    pub(in crate::engine) fn committed(&mut self) {
        if let Some(notes) = &mut self.notes {
            notes.stage = Stage::Committed;
        }
    }

    /// Records the end of the call, and returns its result.
    pub(in crate::engine) async fn settle<T>(mut self, answer: Result<T>) -> Result<T> {
        if let Err(error) = &answer {
            trace(self.tool, error);
            if error.code() == Code::Timeout {
                let Self { tool, role, late: table, began, .. } = &self;
                let ms = milliseconds(began.elapsed());
                let sqlstate = error.get_sqlstate();
                tracing::warn!(tool, role, table, ms, sqlstate, "a call took too long");
            }
        }
        let Some(notes) = self.notes.take() else { return answer };
        let event = || notes.outcome(answer.as_ref().map(drop));
        let sinks = &self.engine.sinks;
        // A committed write cannot fail any more.
        if notes.stage == Stage::Committed {
            sinks.enqueue(Which::Others, event).await;
            return answer;
        }
        if self.engine.settings().audit.on_failure == OnFailure::Warn {
            sinks.enqueue(Which::All, event).await;
            return answer;
        }
        match (sinks.write(event()).await, answer) {
            (Err(error), Ok(_)) => Err(error),
            (_, answer) => answer,
        }
    }

    /// Records a refused call, once the queue has room, with arguments of at most `most` bytes.
    pub(in crate::engine) async fn refused(mut self, error: &Error, most: usize) {
        trace(self.tool, error);
        if let Some(mut notes) = self.notes.take() {
            notes.arguments_most = most;
            self.engine.sinks.enqueue(Which::All, || notes.outcome(Err(error))).await;
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let Some(notes) = self.notes.take() else { return };
        let sinks = &self.engine.sinks;
        match notes.stage {
            Stage::Open if std::thread::panicking() => {
                let fault = Error::new(Code::Internal, "a fault in this server ended the call");
                sinks.leave(Which::All, || notes.outcome(Err(&fault)));
            }
            // The caller disconnected before the end.
            Stage::Open => sinks.leave(Which::All, || notes.abandoned()),
            // If the write was committed, the table also has its outcome, `ok`.
            Stage::Committing { intended: true } => {
                sinks.leave(Which::Table, || notes.abandoned());
            }
            Stage::Committing { intended: false } => {
                sinks.leave(Which::All, || notes.abandoned());
            }
            Stage::Committed => sinks.leave(Which::Others, || notes.outcome(Ok(()))),
        }
    }
}

/// The redaction before the arguments were examined.
fn redaction(catalogue: &Catalogue, caller: &Principal, tool: &str) -> Redaction {
    let mut redaction = Redaction::new(&catalogue.settings.audit, catalogue.view(caller).ok());
    // The arguments mean the same whether or not the caller has the query.
    if let Some(query) = catalogue.canned.of_name(tool) {
        redaction.declare(query.meant());
    }
    redaction
}

/// Logs the cause of an error, which the caller is not told.
fn trace(tool: &str, error: &Error) {
    if let Some(cause) = error.cause() {
        tracing::debug!(code = %error.code(), tool, cause, "refused");
    }
}

//! Where an engine's audit records go: to any number of sinks, and to a table of the database itself.

use std::sync::Arc;

use super::journal::Journal;
use crate::audit::{AuditSink, Entry, Event};
use crate::error::{Error, Result};
use crate::execute::{Database, Failure, Transaction};
use crate::name::TableName;

/// All sinks of an engine.
pub(super) struct Sinks {
    others: Vec<Arc<dyn AuditSink>>,
    journal: Option<Journal>,
}

impl Sinks {
    /// The audit table, if there is one.
    pub(super) async fn open(database: &Database, table: Option<&TableName>) -> Result<Self> {
        let journal = match table {
            Some(table) => Some(Journal::open(database, table).await?),
            None => None,
        };
        Ok(Self { others: Vec::new(), journal })
    }

    pub(super) fn add(&mut self, sink: Arc<dyn AuditSink>) {
        self.others.push(sink);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.others.is_empty() && self.journal.is_none()
    }

    /// Keeps an intent wherever the outcome cannot be committed together with what it tells of.
    pub(super) async fn keep_intent(&self, event: impl Fn() -> Event) -> Result<()> {
        for sink in &self.others {
            sink.keep(event()).await?;
        }
        Ok(())
    }

    /// The outcome that is to be committed together with what it tells of.
    pub(super) fn entry(&self, outcome: impl FnOnce() -> Event) -> Result<Option<Entry>> {
        self.journal.as_ref().map(|journal| journal.entry(outcome())).transpose()
    }

    /// Commits the transaction, with the entry if there is one.
    pub(super) async fn commit(
        &self,
        transaction: Transaction,
        entry: Option<Entry>,
    ) -> Result<(), Failure> {
        match (&self.journal, entry) {
            (Some(journal), Some(entry)) => journal.commit(transaction, entry).await,
            _ => transaction.commit(None).await,
        }
    }

    /// Takes an outcome to be kept soon; `committed` says that the table has it.
    pub(super) fn post(&self, event: Event, committed: bool) {
        let tell = |kept: Result<()>| {
            if let Err(error) = kept {
                tracing::error!(%error, "an audit record may be lost");
            }
        };
        if let Some(journal) = self.journal.as_ref().filter(|_| !committed) {
            tell(journal.post(event.clone()));
        }
        for sink in &self.others {
            tell(sink.post(event.clone()));
        }
    }

    /// Keeps an outcome everywhere, and waits until that is done.
    pub(super) async fn keep(&self, event: Event) -> Result<()> {
        let mut kept = Ok(());
        if let Some(journal) = &self.journal {
            kept = kept.and(journal.keep(event.clone()).await);
        }
        for sink in &self.others {
            kept = kept.and(sink.keep(event.clone()).await);
        }
        if let Err(error) = &kept {
            tracing::error!(%error, "an audit record is lost");
        }
        kept
    }

    /// Waits until all that was posted is kept.
    pub(super) async fn flush(&self) -> Result<(), Error> {
        let mut kept = Ok(());
        if let Some(journal) = &self.journal {
            kept = kept.and(journal.flush().await);
        }
        for sink in &self.others {
            kept = kept.and(sink.flush().await);
        }
        kept
    }
}

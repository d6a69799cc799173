//! The sinks of an engine's audit records: any number of them, and a table of the database itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{join_all, poll_immediate};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_postgres::Config;

use super::journal::Journal;
use crate::audit::{AuditSink, Entry, Event, unavailable};
use crate::error::{Error, Result};
use crate::execute::{Failure, Transaction};
use crate::policy::Settings;

/// All sinks of an engine.
#[derive(Clone)]
pub(in crate::engine) struct Sinks {
    others: Vec<Arc<dyn AuditSink>>,
    journal: Option<Arc<Journal>>,
    complaints: Arc<Mutex<Complaints>>,
    /// Limits the records that wait for room in a queue without a caller.
    left: Arc<Semaphore>,
}

/// Records that could not be written. They are logged with a minimum interval, because under load there would be a
/// line for each.
#[derive(Default)]
struct Complaints {
    told: Option<Instant>,
    untold: u64,
}

/// The most records of disconnected callers that may wait. They are held in memory.
const LEFT_MOST: usize = 4_096;

/// The minimum interval between log lines.
const SILENCE: Duration = Duration::from_secs(10);

impl Complaints {
    /// Counts a record. Returns the number to log, if the interval is over.
    fn one_more(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        let due = self.told.is_none_or(|told| now.duration_since(told) >= SILENCE);
        due.then(|| {
            self.told = Some(now);
            std::mem::take(&mut self.untold)
        })
    }
}

impl Sinks {
    /// Opens the audit table, if there is one.
    pub(in crate::engine) async fn open(config: Config, settings: &Settings) -> Result<Self> {
        let journal = match &settings.audit.table {
            Some(table) => Some(Arc::new(Journal::open(config, settings, table).await?)),
            None => None,
        };
        Ok(Self {
            others: Vec::new(),
            journal,
            complaints: Arc::default(),
            left: Arc::new(Semaphore::new(LEFT_MOST)),
        })
    }

    pub(in crate::engine) fn add(&mut self, sink: Arc<dyn AuditSink>) {
        self.others.push(sink);
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.others.is_empty() && self.journal.is_none()
    }

    /// Stores an intent in the sinks that cannot commit the outcome together with the write. Returns false if there
    /// are none.
    pub(in crate::engine) async fn keep_intent(&self, event: impl Fn() -> Event) -> Result<bool> {
        for sink in &self.others {
            sink.keep(event()).await?;
        }
        Ok(!self.others.is_empty())
    }

    /// The outcome as an entry to commit together with the write.
    pub(in crate::engine) fn entry(
        &self,
        outcome: impl FnOnce() -> Event,
    ) -> Result<Option<Entry>> {
        self.journal.as_ref().map(|journal| journal.entry(outcome())).transpose()
    }

    /// Commits the transaction, with the entry if there is one.
    pub(in crate::engine) async fn commit(
        &self,
        transaction: Transaction,
        entry: Option<Entry>,
    ) -> Result<(), Failure> {
        match (&self.journal, entry) {
            (Some(journal), Some(entry)) => journal.commit(transaction, entry).await,
            _ => transaction.commit(None).await,
        }
    }

    /// Queues an outcome, and waits for room in the queue: callers that send too many calls have to wait, and no
    /// record is lost. The record is queued even if the caller disconnects. `in_table` tells that the audit table
    /// takes it, too.
    pub(in crate::engine) async fn take(&self, event: Event, in_table: bool) {
        let mut taking = Box::pin(self.clone().taken(event, in_table, true));
        if poll_immediate(&mut taking).await.is_none()
            && let Err(fault) = tokio::spawn(taking).await
        {
            self.tell(Some(&unavailable(fault)));
        }
    }

    async fn taken(self, event: Event, in_table: bool, beside: bool) {
        if let Some(journal) = self.journal.as_ref().filter(|_| in_table) {
            self.tell(journal.take(event.clone()).await.as_ref().err());
        }
        for sink in self.others.iter().filter(|_| beside) {
            self.tell(sink.take(event.clone()).await.as_ref().err());
        }
    }

    /// Queues an outcome for which no caller waits.
    pub(in crate::engine) fn post(&self, event: Event) {
        self.leave(event, true, true);
    }

    /// The same for the table only.
    pub(in crate::engine) fn post_to_table(&self, event: Event) {
        self.leave(event, true, false);
    }

    /// The same for all sinks but the table, which has it already.
    pub(in crate::engine) fn post_beside(&self, event: Event) {
        self.leave(event, false, true);
    }

    fn leave(&self, event: Event, in_table: bool, beside: bool) {
        let (Ok(runtime), Ok(place)) =
            (Handle::try_current(), Arc::clone(&self.left).try_acquire_owned())
        else {
            if let Some(journal) = self.journal.as_ref().filter(|_| in_table) {
                self.tell(journal.post(event.clone()).as_ref().err());
            }
            for sink in self.others.iter().filter(|_| beside) {
                self.tell(sink.post(event.clone()).as_ref().err());
            }
            return;
        };
        let mut taking = Box::pin(self.clone().taken(event, in_table, beside));
        if taking.as_mut().now_or_never().is_none() {
            runtime.spawn(async move {
                taking.await;
                drop(place);
            });
        }
    }

    /// The number of lost records in all sinks.
    pub(in crate::engine) fn lost(&self) -> u64 {
        let others = self.others.iter().map(|sink| sink.lost());
        others.chain(self.journal.iter().map(|journal| journal.lost())).sum()
    }

    /// Whether any sink failed to write the last records.
    pub(in crate::engine) fn are_failing(&self) -> bool {
        self.others.iter().any(|sink| sink.is_failing())
            || self.journal.as_ref().is_some_and(|journal| journal.is_failing())
    }

    fn tell(&self, error: Option<&Error>) {
        let Some(error) = error else { return };
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(records) = complaints.one_more(Instant::now()) {
            tracing::error!(%error, records, lost = self.lost(), "audit records may be lost");
        }
    }

    /// Writes an outcome to all sinks, and waits until that is done. It is done even if the caller disconnects.
    pub(in crate::engine) async fn keep(&self, event: Event) -> Result<()> {
        let sinks = self.clone();
        let mut keeping = Box::pin(async move {
            let in_table = async {
                match &sinks.journal {
                    Some(journal) => journal.keep(event.clone()).await,
                    None => Ok(()),
                }
            };
            let beside = join_all(sinks.others.iter().map(|sink| sink.keep(event.clone())));
            let (in_table, beside) = tokio::join!(in_table, beside);
            let kept = beside.into_iter().fold(in_table, Result::and);
            sinks.tell(kept.as_ref().err());
            kept
        });
        // Each sink receives the event now, so that a later flush waits for it.
        match poll_immediate(&mut keeping).await {
            Some(kept) => kept,
            None => tokio::spawn(keeping).await.unwrap_or_else(|fault| Err(unavailable(fault))),
        }
    }

    /// Waits until all queued records are written.
    pub(in crate::engine) async fn flush(&self) -> Result<(), Error> {
        let mut kept = Ok(());
        // All permits are free once no record waits.
        let all = u32::try_from(LEFT_MOST).unwrap_or(u32::MAX);
        drop(self.left.acquire_many(all).await);
        if let Some(journal) = &self.journal {
            kept = kept.and(journal.flush().await);
        }
        for sink in &self.others {
            kept = kept.and(sink.flush().await);
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_of_lost_records_now_and_then() {
        let mut complaints = Complaints::default();
        let began = Instant::now();
        let told: Vec<Option<u64>> = [0, 0, 1, 9, 10, 11, 19, 30]
            .map(|second| complaints.one_more(began + Duration::from_secs(second)))
            .into();
        assert_eq!(told, [Some(1), None, None, None, Some(4), None, None, Some(3)]);
    }
}

//! The sinks of an engine's audit records: any number of them, and a table of the database itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{join_all, poll_immediate};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_postgres::Config;

use super::journal::Journal;
use crate::audit::{AuditSink, Entry, Event, Outcome, unavailable, withheld};
use crate::engine::size::size;
use crate::error::{Error, Result};
use crate::execute::{Failure, Transaction};
use crate::policy::Settings;

/// All sinks of an engine.
#[derive(Clone)]
pub(in crate::engine) struct Sinks {
    table: Option<Arc<Journal>>,
    others: Vec<Arc<dyn AuditSink>>,
    complaints: Arc<Mutex<Complaints>>,
    /// Limits the records that wait for room in a queue without a caller.
    left: Arc<Semaphore>,
}

/// The sinks that an outcome goes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    Table,
    /// All but the table, which has it already.
    Others,
}

/// Records that could not be written. They are logged with a minimum interval, because under load there would be a
/// line for each.
#[derive(Default)]
struct Complaints {
    told: Option<Instant>,
    untold: u64,
}

/// The most records of disconnected callers that may wait, of which a larger one counts for several. They are held in
/// memory.
const LEFT_MOST: u32 = 4_096;

/// The bytes of a record that counts for one.
const LEFT_BYTES: usize = 16 << 10;

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
        let table = match &settings.audit.table {
            Some(table) => Some(Arc::new(Journal::open(config, settings, table).await?)),
            None => None,
        };
        Ok(Self {
            table,
            others: Vec::new(),
            complaints: Arc::default(),
            left: Arc::new(Semaphore::new(LEFT_MOST as usize)),
        })
    }

    pub(in crate::engine) fn add(&mut self, sink: Arc<dyn AuditSink>) {
        self.others.push(sink);
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.table.is_none() && self.others.is_empty()
    }

    fn of(&self, which: Which) -> Vec<Arc<dyn AuditSink>> {
        let table = self.table.iter().filter(|_| which != Which::Others);
        let others = self.others.iter().filter(|_| which != Which::Table);
        table.map(|table| table.sink()).chain(others.cloned()).collect()
    }

    /// Stores an intent in the sinks that cannot commit the outcome together with the write. Returns false if there
    /// are none.
    pub(in crate::engine) async fn keep_intent(&self, event: impl Fn() -> Event) -> Result<bool> {
        for sink in &self.others {
            guarded(sink.write(event())).await?;
        }
        Ok(!self.others.is_empty())
    }

    /// The outcome as an entry to commit together with the write.
    pub(in crate::engine) fn entry(
        &self,
        outcome: impl FnOnce() -> Event,
    ) -> Result<Option<Entry>> {
        self.table.as_ref().map(|table| table.entry(outcome())).transpose()
    }

    /// Commits the transaction, with the entry if there is one.
    pub(in crate::engine) async fn commit(
        &self,
        transaction: Transaction,
        entry: Option<Entry>,
    ) -> Result<(), Failure> {
        match (&self.table, entry) {
            (Some(table), Some(entry)) => table.commit(transaction, entry).await,
            _ => transaction.commit(None).await,
        }
    }

    /// Queues an outcome, and waits for room in the queue: callers that send too many calls have to wait, and no
    /// record is lost. The record is queued even if the caller disconnects.
    pub(super) async fn enqueue(&self, which: Which, event: impl FnOnce() -> Event) {
        let sinks = self.of(which);
        if sinks.is_empty() {
            return;
        }
        let mut queueing = Box::pin(self.clone().queued(sinks, event()));
        if poll_immediate(&mut queueing).await.is_none()
            && let Err(fault) = tokio::spawn(queueing).await
        {
            self.tell(Some(&unavailable(fault)));
        }
    }

    async fn queued(self, sinks: Vec<Arc<dyn AuditSink>>, event: Event) {
        for sink in sinks {
            self.tell(guarded(sink.enqueue(event.clone())).await.as_ref().err());
        }
    }

    /// Queues an outcome for which no caller waits.
    pub(super) fn leave(&self, which: Which, event: impl FnOnce() -> Event) {
        let sinks = self.of(which);
        if sinks.is_empty() {
            return;
        }
        let event = event();
        let places = u32::try_from(1 + size(&event) / LEFT_BYTES).unwrap_or(LEFT_MOST);
        let left = Arc::clone(&self.left);
        let (Ok(runtime), Ok(place)) =
            (Handle::try_current(), left.try_acquire_many_owned(places.min(LEFT_MOST)))
        else {
            for sink in sinks {
                let queued = AssertUnwindSafe(|| sink.try_enqueue(event.clone()));
                let queued = catch_unwind(queued).unwrap_or_else(|_panic| Err(panicked()));
                self.tell(queued.as_ref().err());
            }
            return;
        };
        let mut queueing = Box::pin(self.clone().queued(sinks, event));
        if queueing.as_mut().now_or_never().is_none() {
            runtime.spawn(async move {
                queueing.await;
                drop(place);
            });
        }
    }

    /// The number of lost records in all sinks.
    pub(in crate::engine) fn lost(&self) -> u64 {
        let lost = |sink: &Arc<dyn AuditSink>| catch_unwind(AssertUnwindSafe(|| sink.lost()));
        self.of(Which::All).iter().filter_map(|sink| lost(sink).ok()).sum()
    }

    /// Whether any sink failed to write the last records.
    pub(in crate::engine) fn are_failing(&self) -> bool {
        self.of(Which::All).iter().any(|sink| sink.is_failing())
    }

    fn tell(&self, error: Option<&Error>) {
        let Some(error) = error else { return };
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(records) = complaints.one_more(Instant::now()) {
            let (lost, cause) = (self.lost(), error.cause());
            tracing::error!(%error, cause, records, lost, "audit records may be lost");
        }
    }

    /// Writes an outcome to all sinks, and waits until that is done. It is done even if the caller disconnects. A sink
    /// that fails gets the record for later.
    pub(super) async fn write(&self, event: Event) -> Result<()> {
        let sinks = self.clone();
        let mut writing = Box::pin(async move {
            let all = sinks.of(Which::All);
            let written = join_all(all.iter().map(|sink| written(&**sink, event.clone()))).await;
            let written = written.into_iter().fold(Ok(()), Result::and);
            sinks.tell(written.as_ref().err());
            written
        });
        // Each sink receives the event now, so that a later flush waits for it.
        match poll_immediate(&mut writing).await {
            Some(written) => written,
            None => tokio::spawn(writing).await.unwrap_or_else(|fault| Err(unavailable(fault))),
        }
    }

    /// Waits until all queued records are written.
    pub(in crate::engine) async fn flush(&self) -> Result<(), Error> {
        // All permits are free once no record waits.
        drop(self.left.acquire_many(LEFT_MOST).await);
        let mut flushed = Ok(());
        for sink in self.of(Which::All) {
            flushed = flushed.and(guarded(sink.flush()).await);
        }
        flushed
    }
}

/// Writes an outcome, or queues it if that fails. Without its record, a call is not answered.
async fn written(sink: &dyn AuditSink, mut event: Event) -> Result<()> {
    let written = guarded(sink.write(event.clone())).await;
    if let Err(error) = &written {
        if event.outcome == Some(Outcome::Ok) {
            event.fail(Some(error.code()));
            event.sensitive.clear();
        }
        // The error was told already.
        let _ = guarded(sink.enqueue(event)).await;
    }
    written
}

/// The result of a sink, whose panic must not end the process: records are also written while a panic unwinds.
async fn guarded(work: impl Future<Output = Result<()>>) -> Result<()> {
    let done = AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_panic| Err(panicked()));
    done.map_err(withheld)
}

fn panicked() -> Error {
    unavailable("an audit sink panicked")
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

//! The audit table: outcomes of writes in the writes' own transactions, all others a little later in
//! transactions of their own.
//!
//! Knows when a record is kept; not what it tells, nor the table's SQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Config;

use crate::audit::{
    AuditTable, Encoded, Entry, Event, Fault, Ledger, Ledgers, Letters, Verified, unavailable,
};
use crate::error::{Code, Error, Result};
use crate::execute::{Append, Database, Failure, Transaction};
use crate::name::TableName;
use crate::policy::{Settings, Tls};

/// How many records may wait to be written, and how many are written at once.
const QUEUE: usize = 1024;
const BATCH: usize = 256;

/// How long a posted record waits for others to share its transaction.
const GATHER: Duration = Duration::from_millis(5);

/// The sink that is a table of the engine's own database.
pub(super) struct Journal {
    insert: Arc<str>,
    /// The index that keeps a confirmation from being used twice.
    once: String,
    ledger: Arc<Ledger>,
    jobs: mpsc::Sender<Job>,
    broken: Arc<AtomicBool>,
}

/// Something for the writer to do.
struct Job {
    /// None for a flush.
    event: Option<Encoded>,
    /// Whom to tell; none for a posted record.
    done: Option<oneshot::Sender<Result<()>>>,
}

impl Journal {
    pub(super) async fn open(database: &Database, name: &TableName) -> Result<Self> {
        let table = AuditTable::new(name);
        let newest = database.column(&table.newest()).await.map_err(|error| {
            Error::new(
                Code::AuditUnavailable,
                format!("the audit table {name} cannot be read; setup-sql prints what makes it"),
            )
            .caused_by(error)
        })?;
        let encoding = database.column(table.encoding()).await?;
        let letters = match encoding.iter().any(|encoding| encoding == "UTF8") {
            true => Letters::All,
            false => Letters::Ascii,
        };
        let ledger = Ledger::after(newest.iter().map(String::as_str), letters);
        let insert: Arc<str> = table.insert().into();
        let (jobs, queue) = mpsc::channel(QUEUE);
        let broken = Arc::new(AtomicBool::new(false));
        let writer = Writer {
            database: database.clone(),
            insert: insert.clone(),
            ledger: ledger.clone(),
            queue,
            pending: Vec::new(),
            broken: broken.clone(),
        };
        tokio::spawn(writer.run());
        let once = table.once().to_owned();
        Ok(Self { insert, once, ledger, jobs, broken })
    }

    /// The record of an event, for a transaction.
    pub(super) fn entry(&self, event: Event) -> Result<Entry> {
        Ok(self.ledger.entry([&event.try_into()?]))
    }

    /// Commits the transaction and the entry, both or neither.
    pub(super) async fn commit(
        &self,
        transaction: Transaction,
        entry: Entry,
    ) -> Result<(), Failure> {
        let append = Append { sql: &self.insert, rows: entry.records() };
        let committed = transaction.commit(Some(&append)).await;
        settle(entry, &committed);
        committed.map_err(|failure| match failure.violated() == Some(&self.once) {
            true => Failure::Own(
                Error::new(Code::Forbidden, "what the user has agreed to was done before")
                    .hint("call again without the answer: the user is asked anew"),
            ),
            false => failure,
        })
    }

    pub(super) fn post(&self, event: Event) -> Result<()> {
        let job = Job { event: Some(event.try_into()?), done: None };
        let broken = self.broken.load(Ordering::Relaxed);
        self.jobs.try_send(job).map_err(|_| unavailable("the queue is full"))?;
        // The record is tried all the same: so the journal finds out when the table is back.
        if broken { Err(unavailable("the table could not be written")) } else { Ok(()) }
    }

    pub(super) async fn keep(&self, event: Event) -> Result<()> {
        self.wait_for(Some(event.try_into()?)).await
    }

    pub(super) async fn flush(&self) -> Result<()> {
        self.wait_for(None).await
    }

    async fn wait_for(&self, event: Option<Encoded>) -> Result<()> {
        let (done, kept) = oneshot::channel();
        let job = Job { event, done: Some(done) };
        self.jobs.send(job).await.map_err(|_| unavailable("the writer has ended"))?;
        kept.await.unwrap_or_else(|_| Err(unavailable("the writer has ended")))
    }
}

/// Tells the ledger what became of the entry; where nobody knows, by dropping it.
fn settle(entry: Entry, committed: &Result<(), Failure>) {
    match committed {
        Ok(()) => entry.kept(),
        Err(failure) if failure.rolled_back() => entry.undone(),
        Err(_) => drop(entry),
    }
}

/// The other end of the queue.
struct Writer {
    database: Database,
    insert: Arc<str>,
    ledger: Arc<Ledger>,
    queue: mpsc::Receiver<Job>,
    /// What the next transaction takes: first the posted records that earlier ones could not write.
    pending: Vec<Job>,
    broken: Arc<AtomicBool>,
}

impl Writer {
    async fn run(mut self) {
        while let Some(job) = self.queue.recv().await {
            let mut hurried = job.done.is_some();
            self.pending.push(job);
            let deadline = tokio::time::sleep(GATHER);
            tokio::pin!(deadline);
            while !hurried && self.pending.len() < BATCH {
                tokio::select! {
                    biased;
                    job = self.queue.recv() => match job {
                        Some(job) => {
                            hurried = job.done.is_some();
                            self.pending.push(job);
                        }
                        None => break,
                    },
                    () = &mut deadline => break,
                }
            }
            while let Ok(job) = self.queue.try_recv() {
                self.pending.push(job);
            }
            self.write().await;
        }
        if !self.pending.is_empty() {
            tracing::error!(records = self.pending.len(), "posted audit records are lost");
        }
    }

    /// Writes all that is pending and tells who waits.
    async fn write(&mut self) {
        let mut most = BATCH;
        while !self.pending.is_empty() {
            let batch = self.pending.len().min(most);
            let entry = self.entry(batch);
            let writes = entry.is_some();
            let added = match entry {
                Some(entry) => self.add(entry).await,
                None => Ok(()),
            };
            match added {
                Ok(()) => {
                    if writes && self.broken.swap(false, Ordering::Relaxed) {
                        tracing::info!("the audit table is written again");
                    }
                    for done in self.pending.drain(..batch).filter_map(|job| job.done) {
                        // Whoever has stopped waiting need not be told.
                        let _ = done.send(Ok(()));
                    }
                }
                // One of the records is at fault: by themselves, the others are kept.
                Err(failure) if failure.is_of_the_rows() && batch > 1 => most = 1,
                Err(failure) if failure.is_of_the_rows() => {
                    tracing::error!(%failure, "the audit table refuses a record, which is lost");
                    for done in self.pending.drain(..batch).filter_map(|job| job.done) {
                        let _ = done.send(Err(unavailable("the table refuses the record")));
                    }
                }
                Err(failure) => {
                    if !self.broken.swap(true, Ordering::Relaxed) {
                        tracing::error!(%failure, "the audit table cannot be written");
                    }
                    return self.put_off();
                }
            }
        }
    }

    /// The first pending records, unless there are only flushes.
    fn entry(&self, batch: usize) -> Option<Entry> {
        let events = self.pending.iter().take(batch).filter_map(|job| job.event.as_ref());
        let mut events = events.peekable();
        events.peek().is_some().then(|| self.ledger.entry(events))
    }

    async fn add(&self, entry: Entry) -> Result<(), Failure> {
        let append = Append { sql: &self.insert, rows: entry.records() };
        let added = self.database.append(&append).await;
        settle(entry, &added);
        added
    }

    /// Tells those who wait that their record is not kept; the posted ones are tried again.
    fn put_off(&mut self) {
        self.pending.retain_mut(|job| match job.done.take() {
            Some(done) => {
                let _ = done.send(Err(unavailable("the table could not be written")));
                false
            }
            None => true,
        });
        // Later ones were posted after `broken` was set, which their callers were told.
        self.pending.truncate(2 * QUEUE);
    }
}

/// Checks the records of an audit table, as they are in one snapshot.
///
/// # Errors
///
/// `database_unavailable` if the table cannot be read; inside, the first broken record.
pub async fn verify_table(
    database: Config,
    tls: Tls,
    name: &TableName,
) -> Result<Result<Verified, Fault>> {
    let database = Database::new(database, &Settings { tls, ..Settings::default() })?;
    let mut ledgers = Ledgers::default();
    let page = AuditTable::new(name).page();
    let checked = database
        .pages(&page, |position, record| {
            ledgers.check(u64::try_from(position).unwrap_or_default(), record)
        })
        .await?;
    Ok(checked.map(|()| ledgers.finish()))
}

//! The audit table. Outcomes of writes are inserted in the writes' own transactions, all others shortly afterwards in
//! separate transactions.
//!
//! Knows when a record is stored, but not its content or the table's SQL.

use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use tokio::runtime::Builder;
use tokio::time::sleep;
use tokio_postgres::Config;

use crate::audit::{
    AuditSink, AuditTable, Encoded, Entry, Event, Fault, Ledger, Ledgers, Letters, Queue, Verified,
    Waiting, queue, unavailable,
};
use crate::error::{Code, Error, Result};
use crate::execute::{Append, Database, Failure, Transaction};
use crate::name::TableName;
use crate::policy::{Limits, Settings, Tls};

/// The most records per transaction, and how long posted ones wait to share one.
const BATCH: usize = 256;
const GATHER: Duration = Duration::from_millis(5);

/// How long the writer's connection has to close at the end.
const LEAVE: Duration = Duration::from_millis(100);

/// The sink that is a table in the engine's own database.
pub(super) struct Journal {
    insert: Arc<str>,
    /// The unique index that prevents a confirmation from being used twice.
    once: String,
    ledger: Arc<Ledger>,
    queue: Arc<Queue>,
}

impl Journal {
    /// Opens the table with this name, which is written over a connection of its own.
    pub(super) async fn open(
        config: Config,
        settings: &Settings,
        name: &TableName,
    ) -> Result<Self> {
        let database = alone(config, settings)?;
        let table = AuditTable::new(name);
        let newest = database.column(&table.newest()).await;
        let newest = newest.map_err(|error| unreadable(name, error))?;
        let encoding = database.column(table.encoding()).await?;
        let letters = match encoding.iter().any(|encoding| encoding == "UTF8") {
            true => Letters::All,
            false => Letters::Ascii,
        };
        let ledger = Ledger::after(newest.iter().map(String::as_str), letters);
        let insert: Arc<str> = table.insert().into();
        let (queue, waiting) = queue();
        let writer = Writer { database, insert: insert.clone(), ledger: ledger.clone(), waiting };
        writer.start().map_err(unavailable)?;
        let once = table.once().to_owned();
        Ok(Self { insert, once, ledger, queue: Arc::new(queue) })
    }

    /// An event as a record for a transaction.
    pub(super) fn entry(&self, event: Event) -> Result<Entry> {
        Ok(self.ledger.entry([&event.try_into()?]))
    }

    /// Commits the transaction and the entry together.
    pub(super) async fn commit(
        &self,
        transaction: Transaction,
        entry: Entry,
    ) -> Result<(), Failure> {
        let append = Append { sql: &self.insert, rows: entry.records(), refused: unavailable };
        let committed = transaction.commit(Some(&append)).await;
        settle(entry, &committed);
        committed.map_err(|failure| match failure.violated() == Some(&self.once) {
            true => Failure::Own(
                Error::new(Code::Forbidden, "the user's agreement was already used")
                    .hint("call again without the answer to ask the user again"),
            ),
            false => failure,
        })
    }

    /// Where records go that are not committed with a transaction.
    pub(super) fn sink(&self) -> Arc<dyn AuditSink> {
        Arc::clone(&self.queue) as _
    }
}

/// A pool of one connection that callers cannot take, so that their calls can always be recorded.
fn alone(mut config: Config, settings: &Settings) -> Result<Database> {
    let name = config.get_application_name().unwrap_or("mcp-pg").to_owned();
    config.application_name(format!("{name} audit"));
    let limits = Limits { max_connections: 1, ..settings.limits.clone() };
    // The writer logs its own errors.
    Ok(Database::new(config, &Settings { limits, ..settings.clone() })?.quiet())
}

/// Tells the ledger whether the entry was committed. If that is unknown, dropping the entry tells it.
fn settle(entry: Entry, committed: &Result<(), Failure>) {
    match committed {
        Ok(()) => entry.kept(),
        Err(failure) if failure.rolled_back() => entry.undone(),
        Err(_) => drop(entry),
    }
}

/// The receiving end of the queue.
struct Writer {
    database: Database,
    insert: Arc<str>,
    ledger: Arc<Ledger>,
    waiting: Waiting,
}

impl Writer {
    /// Runs it on a thread of its own: the engine may outlive the runtime in which it was made.
    fn start(self) -> io::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let run = move || {
            runtime.block_on(async {
                self.run().await;
                // Its connection takes leave of PostgreSQL.
                sleep(LEAVE).await;
            });
        };
        thread::Builder::new().name("audit table".into()).spawn(run).map(drop)
    }

    async fn run(mut self) {
        while self.waiting.gather(BATCH, GATHER).await {
            self.write().await;
        }
    }

    /// Writes all waiting records, in portions.
    async fn write(&mut self) {
        // After a failure, a single record shows whether the table can be written again.
        let mut most = if self.waiting.is_failing() { 1 } else { BATCH };
        let mut wrote = false;
        while self.waiting.len() > 0 {
            let count = self.waiting.fitting(most);
            let writes = self.waiting.has_records(count);
            let added = match writes {
                true => self.add(self.ledger.entry(self.waiting.records(count))).await,
                false => Ok(()),
            };
            let refused = match added {
                Ok(()) => None,
                // One of the records is faulty. Written in smaller portions, the others are stored.
                Err(failure) if failure.is_of_the_rows() && count > 1 => {
                    most = count / 2;
                    continue;
                }
                Err(failure) if failure.is_of_the_rows() => Some(failure),
                Err(failure) => {
                    if self.waiting.fail() {
                        tracing::error!(%failure, "the audit table cannot be written");
                    }
                    return self.waiting.put_off("the table could not be written");
                }
            };
            wrote |= writes;
            if wrote && count == self.waiting.len() && self.waiting.mend() {
                tracing::warn!("the audit table can be written again");
            }
            match refused {
                None => self.waiting.settle(count, || Ok(())),
                Some(failure) => {
                    let id = self.waiting.records(count).find_map(Encoded::id);
                    tracing::error!(%failure, id, "the audit table refuses a record, which is lost");
                    self.waiting.refuse(count, "the table refuses the record");
                }
            }
            most = BATCH.min(2 * most);
        }
    }

    async fn add(&self, entry: Entry) -> Result<(), Failure> {
        let append = Append { sql: &self.insert, rows: entry.records(), refused: unavailable };
        let added = self.database.append(&append).await;
        settle(entry, &added);
        added
    }
}

/// Verifies the records of an audit table, in one snapshot.
///
/// # Errors
///
/// `database_unavailable`; `audit_unavailable` if the table cannot be read. The inner result is the first broken record.
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
        .await
        .map_err(|error| match error.code() {
            Code::DatabaseUnavailable => error,
            _ => unreadable(name, error),
        })?;
    Ok(checked.map(|()| ledgers.finish()))
}

fn unreadable(name: &TableName, error: Error) -> Error {
    let message = format!("the audit table {name} cannot be read; setup-sql prints what makes it");
    Error::new(Code::AuditUnavailable, message).caused_by(error)
}

//! The audit log: what is recorded of each call, and where.
//!
//! An [`Event`] is a record. A [`FileSink`] keeps records in a file; the table that
//! [`AuditDetail::table`](crate::policy::AuditDetail::table) names keeps them in the database; [`AuditSink`] is for sinks of your
//! own. [`verify_file`] and [`verify_table`](crate::verify_table) check the chain of hashes. The record of a write is durable
//! before its commit.

mod chain;
mod encode;
mod event;
mod file;
mod ledger;
mod log;
mod queue;
mod rotation;
mod table;
mod verify;

use async_trait::async_trait;

pub(crate) use encode::{Encoded, PART_MOST, name};
pub(crate) use event::milliseconds;
pub use event::{Actor, Client, Event, Outcome, Phase, Written};
pub use file::FileSink;
pub(crate) use ledger::{Entry, Ledger, Letters};
pub(crate) use queue::{Queue, Waiting, queue};
pub use table::AuditTable;
pub(crate) use verify::Ledgers;
pub use verify::{Fault, Reason, Verified, snapshot, verify, verify_file, verify_file_after};

use crate::error::{Code, Error, Result};

/// Where audit records go.
///
/// A sink gets one outcome of each call, also of refused ones, and the intent of each write before that, with the same
/// [`Event::id`]:
///
/// | when | what | method |
/// |---|---|---|
/// | between a write's statements and its COMMIT | the intent | [`write`](Self::write): an error rolls back |
/// | after the call | the outcome | [`enqueue`](Self::enqueue), or [`write`](Self::write) where nothing is answered without it |
/// | after a call whose caller has left | the outcome | [`try_enqueue`](Self::try_enqueue) |
/// | at the end | | [`flush`](Self::flush) |
///
/// The trait is declared with the crate [`async-trait`](https://docs.rs/async-trait); implementations need its attribute, too:
///
/// ```
/// use std::sync::mpsc::Sender;
///
/// use async_trait::async_trait;
/// use mcp_pg_core::audit::{AuditSink, Event};
/// use mcp_pg_core::{Code, Error, Result};
///
/// /// Hands records to a thread that keeps them.
/// struct Handed(Sender<Event>);
///
/// #[async_trait]
/// impl AuditSink for Handed {
///     async fn write(&self, event: Event) -> Result<()> {
///         // A sink for writes waits here until the record is safe.
///         self.try_enqueue(event)
///     }
///
///     fn try_enqueue(&self, event: Event) -> Result<()> {
///         let gone = |_| Error::new(Code::AuditUnavailable, "nobody keeps audit records");
///         self.0.send(event).map_err(gone)
///     }
///
///     async fn flush(&self) -> Result<()> {
///         Ok(())
///     }
/// }
/// ```
///
/// # Errors
///
/// All methods return `audit_unavailable` if a record cannot be written. A panic counts as that, and so does any other
/// error: the caller is told only that the record cannot be kept, and the error itself is for the log.
#[async_trait]
pub trait AuditSink: Send + Sync {
    /// Writes the record, and returns once it would survive a crash of the machine.
    ///
    /// Nothing else bounds how long this takes, and a write's transaction is open meanwhile: give up before PostgreSQL ends it
    /// ([`Timeouts::idle_in_transaction`](crate::policy::Timeouts::idle_in_transaction)).
    async fn write(&self, event: Event) -> Result<()>;

    /// Queues the record, and returns at once.
    ///
    /// For outcomes that nobody waits for: of calls whose caller has left. An error means that the sink is known to be broken,
    /// or its queue is full.
    fn try_enqueue(&self, event: Event) -> Result<()>;

    /// Queues the record, and returns once the queue has room for it.
    ///
    /// For outcomes that no reply depends on: of reads, committed writes and refused calls. Callers that are faster than records
    /// are written have to wait. An error means that the sink is known to be broken. Also for an outcome that [`write`](Self::write)
    /// failed to write, as a failed one if the call would have been answered.
    async fn enqueue(&self, event: Event) -> Result<()> {
        self.try_enqueue(event)
    }

    /// Waits until all queued records are written.
    async fn flush(&self) -> Result<()>;

    /// How many records have been lost so far, if the sink counts them. [`Health`](crate::Health) and the server's metrics
    /// have their number from here.
    fn lost(&self) -> u64 {
        0
    }

    /// Whether the last records could not be written, as far as the sink knows. [`Health`](crate::Health) and the server's
    /// metrics know it from here.
    fn is_failing(&self) -> bool {
        false
    }
}

/// The error of a sink that cannot write: the reason is only for the log.
pub(crate) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Code::AuditUnavailable, UNKEPT).caused_by(cause)
}

/// The error of any sink as callers may see it: what an application's sink says may name hosts and users.
pub(crate) fn withheld(error: Error) -> Error {
    let is_own = error.code() == Code::AuditUnavailable && error.message() == UNKEPT;
    if is_own { error } else { unavailable(error) }
}

const UNKEPT: &str = "the audit record cannot be kept";

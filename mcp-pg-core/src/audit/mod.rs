//! The audit log: what is kept of each call, and where.
//!
//! Knows events and sinks; not what a call means. A write's record is kept before its commit.

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
pub use event::{Actor, Client, Event, Outcome, Phase, milliseconds};
pub use file::FileSink;
pub(crate) use ledger::{Entry, Ledger, Letters};
pub(crate) use queue::{Queue, Waiting, queue};
pub use table::AuditTable;
pub(crate) use verify::Ledgers;
pub use verify::{Fault, Reason, Verified, snapshot, verify, verify_file};

use crate::error::{Code, Error, Result};

/// Where audit records go.
///
/// Of each call a sink gets one outcome, refused calls too, and of a write its intent before, with the same
/// [`Event::id`]:
///
/// | when | what | method |
/// |---|---|---|
/// | between a write's statements and its COMMIT | the intent | [`keep`](Self::keep): an error rolls back |
/// | after the call | the outcome | [`take`](Self::take), or [`keep`](Self::keep) where nothing is answered without it |
/// | after a call whose caller has left | the outcome | [`post`](Self::post) |
/// | at the end | | [`flush`](Self::flush) |
///
/// Its methods are those of the crate [`async-trait`](https://docs.rs/async-trait), whose attribute stands at an
/// implementation, too:
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
///     async fn keep(&self, event: Event) -> Result<()> {
///         // A sink for writes waits here until the record is safe.
///         self.post(event)
///     }
///
///     fn post(&self, event: Event) -> Result<()> {
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
/// All methods answer `audit_unavailable` when a record cannot be kept.
#[async_trait]
pub trait AuditSink: Send + Sync {
    /// Keeps the record; returns once it would survive a crash of the machine.
    async fn keep(&self, event: Event) -> Result<()>;

    /// Takes the record to be kept soon; returns at once.
    ///
    /// For outcomes that nobody is there to wait for: of calls whose caller has left. An error means that the sink is known
    /// to be broken, or its queue is full.
    fn post(&self, event: Event) -> Result<()>;

    /// Takes the record to be kept soon; returns once there is a place for it.
    ///
    /// For outcomes that no reply depends on: of reads, of writes that are committed, of calls that are refused. Whoever
    /// calls faster than records are written waits for them. An error means that the sink is known to be broken.
    async fn take(&self, event: Event) -> Result<()> {
        self.post(event)
    }

    /// Waits until all posted records are kept.
    async fn flush(&self) -> Result<()>;

    /// How many records it has given up so far, as far as it counts them.
    fn lost(&self) -> u64 {
        0
    }

    /// Whether it could not keep the last records, as far as it knows.
    fn is_failing(&self) -> bool {
        false
    }
}

/// The error of a running sink: callers learn that it is so, the log why.
pub(crate) fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Code::AuditUnavailable, "the audit record cannot be kept").caused_by(cause)
}

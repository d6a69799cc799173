//! The audit log: what is kept of each call, and where.
//!
//! Knows events and sinks; not what a call means. A write's record is kept before its commit.

mod chain;
mod event;
mod file;
mod log;
mod verify;

use async_trait::async_trait;

pub use event::{Actor, Client, Event, Outcome, Phase, milliseconds};
pub use file::FileSink;
pub use verify::{Fault, Reason, Verified, snapshot, verify};

use crate::error::Result;

/// Where audit records go.
///
/// # Errors
///
/// Both methods answer `audit_unavailable` when the record cannot be kept.
#[async_trait]
pub trait AuditSink: Send + Sync {
    /// Keeps the record; returns once it would survive a crash of the machine.
    async fn keep(&self, event: Event) -> Result<()>;

    /// Takes the record to be kept soon; returns at once.
    ///
    /// For reads, whose reply need not wait. An error means that the sink is known to be broken.
    fn post(&self, event: Event) -> Result<()>;

    /// Waits until all posted records are kept.
    async fn flush(&self) -> Result<()>;
}

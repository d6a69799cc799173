//! The sink that writes to a file, in a thread that writes all waiting records at once.
//!
//! Knows when to write, and what to do if that fails, but not the file's format.

use std::num::NonZeroU64;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::{self, Runtime};

use super::log::{Limits, Log};
use super::{AuditSink, Encoded, Event, Queue, Waiting, queue};
use crate::error::{Code, Error, Result};

/// How long another process may hold the file's lock, which it does for a batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most records that are written at once, and how long posted ones wait to share a write.
const BATCH: usize = 1024;
const GATHER: Duration = Duration::from_millis(2);

/// Appends audit records to a file, one JSON object per line. Each contains the hash of the one before.
///
/// A line is the event with `seq` before it, and `prev` and `hash` after it. `hash` is the SHA-256 of the
/// line without its `,"hash":"…"` and newline, `prev` the hash of the line before (64 zeros in the first),
/// `seq` counts from 1. [`verify`](super::verify) checks a log, as does this Python:
///
/// ```python
/// import hashlib, json, sys
///
/// prev, seq = "0" * 64, 0
/// for line in open(sys.argv[1], "rb"):
///     record, seq = json.loads(line), seq + 1
///     body = line.rpartition(b',"hash":"')[0] + b"}"
///     assert record["hash"] == hashlib.sha256(body).hexdigest(), f"record {seq} was changed"
///     assert (record["seq"], record["prev"]) == (seq, prev), f"broken before record {seq}"
///     prev = record["hash"]
/// print(seq, "records, the last hash is", prev)
/// ```
///
/// Callers that wait at the same time share one write and one sync to disk. Several processes may append to the same
/// file: each locks it for a batch, and continues the chain from its current end. If the file was moved away, a new
/// one with a new chain is created, unless older parts of it still exist. A file that lost records from its end while
/// it was in use is not continued.
///
/// Arguments, images and statements of more than 1 MiB are replaced by `{"omitted": "N bytes"}`. A record of more
/// than 16 MiB is refused.
///
/// Dropping the sink waits until all posted records are written.
///
/// ```
/// # use mcp_pg_core::audit::{Actor, AuditSink, Client, Event, FileSink, Phase, snapshot, verify};
/// # let event = Event {
/// #     time: "2026-01-02T03:04:05.000000Z".into(), id: "1".into(), phase: Phase::Outcome,
/// #     actor: Actor::default(), client: Client::default(), transport: "library".into(),
/// #     tool: "select".into(), operation: "select".into(), table: None, arguments: None,
/// #     sql: vec![], operations: vec![], confirmation: None, rows: None, sensitive: vec![], outcome: None, code: None, duration_ms: None, before: None,
/// #     after: None,
/// # };
/// # let path = std::env::temp_dir().join(format!("audit-example-{}.jsonl", std::process::id()));
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let sink = FileSink::open(&path)?;
/// sink.write(event).await?;
/// assert_eq!(verify(snapshot(&path)?)?.records, 1);
/// # std::fs::remove_file(&path)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileSink {
    // Dropped before the writer, which ends when the queue is closed and empty.
    queue: Queue,
    _writer: Joined,
}

impl FileSink {
    /// Opens the file and continues its chain. Creates it, readable only by its owner, if it does not exist.
    ///
    /// An incomplete last line, left by a crash, is removed: its write was never reported as done.
    ///
    /// # Errors
    ///
    /// `audit_unavailable` if the file cannot be used, or if its last line is not a valid record, because a broken
    /// chain is not continued.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::with(path.as_ref(), Limits { bytes: None, patience: PATIENCE })
    }

    /// The same with rotation: before the file becomes larger than `bytes`, it is renamed to its name with the number
    /// of its last record, `audit.jsonl.000000000042`. The chain continues in the new file.
    ///
    /// # Errors
    ///
    /// As [`FileSink::open`].
    pub fn rotating(path: impl AsRef<Path>, bytes: NonZeroU64) -> Result<Self> {
        Self::with(path.as_ref(), Limits { bytes: Some(bytes), patience: PATIENCE })
    }

    fn with(path: &Path, limits: Limits) -> Result<Self> {
        let unusable = |error: std::io::Error| {
            let message = format!("the audit file {} cannot be used: {error}", path.display());
            Error::new(Code::AuditUnavailable, message)
        };
        let log = Log::open(path, limits).map_err(unusable)?;
        let runtime =
            runtime::Builder::new_current_thread().enable_time().build().map_err(unusable)?;
        let (queue, waiting) = queue();
        let writer = Writer { log, waiting };
        let thread =
            thread::Builder::new().name("audit".into()).spawn(move || writer.run(&runtime));
        Ok(Self { queue, _writer: Joined(Some(thread.map_err(unusable)?)) })
    }
}

#[async_trait]
impl AuditSink for FileSink {
    async fn write(&self, event: Event) -> Result<()> {
        self.queue.write(event).await
    }

    async fn enqueue(&self, event: Event) -> Result<()> {
        self.queue.enqueue(event).await
    }

    fn try_enqueue(&self, event: Event) -> Result<()> {
        self.queue.try_enqueue(event)
    }

    async fn flush(&self) -> Result<()> {
        self.queue.flush().await
    }

    fn lost(&self) -> u64 {
        self.queue.lost()
    }

    fn is_failing(&self) -> bool {
        self.queue.is_failing()
    }
}

/// The thread's end of the queue.
struct Writer {
    log: Log,
    waiting: Waiting,
}

impl Writer {
    fn run(mut self, runtime: &Runtime) {
        runtime.block_on(async {
            while self.waiting.gather(BATCH, GATHER).await {
                self.write();
            }
        });
    }

    /// Writes all waiting records, in portions.
    fn write(&mut self) {
        // After a failure, a single record shows whether the file can be written again.
        let mut most = if self.waiting.is_failing() { 1 } else { BATCH };
        let mut wrote = false;
        while self.waiting.len() > 0 {
            let count = self.waiting.fitting(most);
            if self.waiting.has_records(count) {
                let records = self.waiting.records(count).map(Encoded::as_bytes);
                if let Err(error) = self.log.append(records) {
                    if self.waiting.fail() {
                        tracing::error!(file = %self.log.path().display(), %error, "the audit file cannot be written");
                    }
                    return self.waiting.put_off(&error.to_string());
                }
                wrote = true;
            }
            if wrote && count == self.waiting.len() && self.waiting.mend() {
                tracing::warn!(file = %self.log.path().display(), "the audit file can be written again");
            }
            self.waiting.settle(count, || Ok(()));
            most = BATCH.min(2 * most);
        }
    }
}

/// A thread that is joined on drop.
#[derive(Debug)]
struct Joined(Option<JoinHandle<()>>);

impl Drop for Joined {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take()
            && thread.join().is_err()
        {
            tracing::error!("the audit writer has failed");
        }
    }
}

#[cfg(test)]
mod tests;

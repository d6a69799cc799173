//! The sink that writes to a file: a queue, and a thread that writes all that waits at once.
//!
//! Knows how callers wait, and what to do when the file fails; not how records are laid out in it.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::encode::encode;
use super::log::{Limits, Log};
use super::{AuditSink, Event, unavailable};
use crate::error::{Code, Error, Result};

/// How many records may wait to be written.
const QUEUE: usize = 1024;

/// How long another process may hold the file's lock, which it needs for a batch.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long posted records wait for others to share their write, unless someone waits for one.
const GATHER: Duration = Duration::from_millis(2);

/// Appends audit records to a file, one JSON object a line, each chained to the one before by its hash.
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
/// Callers that wait at the same time share one write and one sync to the disk. Several processes may
/// append to one file: each takes the file's lock for a batch and goes on where the chain ends then. A
/// file that was moved away is created anew, with a chain of its own, unless older parts of it are still there; one
/// that lost records from its end while it was in use is not continued.
///
/// Arguments, images and statements of more than 1 MiB are replaced by `{"omitted": "N bytes"}`; a record
/// of more than 16 MiB is refused.
///
/// Dropping the sink waits until all that was posted is written.
///
/// ```
/// # use mcp_pg_core::audit::{Actor, AuditSink, Client, Event, FileSink, Phase, snapshot, verify};
/// # let event = Event {
/// #     time: "2026-01-02T03:04:05.000000Z".into(), id: "1".into(), phase: Phase::Outcome,
/// #     actor: Actor::default(), client: Client::default(), transport: "library".into(),
/// #     tool: "select".into(), operation: "select".into(), table: None, arguments: None,
/// #     sql: vec![], confirmation: None, rows: None, sensitive: vec![], outcome: None, code: None, duration_ms: None, before: None,
/// #     after: None,
/// # };
/// # let path = std::env::temp_dir().join(format!("audit-example-{}.jsonl", std::process::id()));
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let sink = FileSink::open(&path)?;
/// sink.keep(event).await?;
/// assert_eq!(verify(snapshot(&path)?)?.records, 1);
/// # std::fs::remove_file(&path)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileSink {
    // Dropped before the writer, which ends when the queue is closed and empty.
    jobs: mpsc::Sender<Job>,
    broken: Arc<AtomicBool>,
    writer: Joined,
}

impl FileSink {
    /// Opens the file and continues its chain, or creates it, readable by its owner alone.
    ///
    /// A torn last line, left by a crash, is cut off: nobody was told that it was kept.
    ///
    /// # Errors
    ///
    /// `audit_unavailable` where the file cannot be used, or its last line is not a whole record: a
    /// broken chain is not continued.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::with(path.as_ref(), Limits { bytes: None, patience: PATIENCE })
    }

    /// The same, and before the file would be larger than `bytes`, it is renamed, with the number of its last
    /// record after its name: `audit.jsonl.000000000042`. The chain goes on in the new file.
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
            Error::new(Code::AuditUnavailable, message).caused_by(error)
        };
        let log = Log::open(path, limits).map_err(unusable)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let broken = Arc::new(AtomicBool::new(false));
        let writer = Writer { log, queue, pending: Vec::new(), broken: broken.clone() };
        let thread = thread::Builder::new().name("audit".into()).spawn(|| writer.run());
        Ok(Self { jobs, broken, writer: Joined(Some(thread.map_err(unusable)?)) })
    }

    async fn wait_for(&self, event: Option<Vec<u8>>) -> Result<()> {
        let (done, kept) = oneshot::channel();
        let job = Job { event, done: Some(done) };
        self.jobs.send(job).await.map_err(|_| unavailable("the writer has ended"))?;
        self.writer.hurry();
        kept.await.unwrap_or_else(|_| Err(unavailable("the writer has ended")))
    }
}

#[async_trait]
impl AuditSink for FileSink {
    async fn keep(&self, event: Event) -> Result<()> {
        self.wait_for(Some(encode(event)?)).await
    }

    /// Takes the record to be kept soon; returns at once.
    ///
    /// A record that was taken stays in memory while the file cannot be written. When the file is known
    /// to fail, the answer is an error, but the record is still tried: so the sink finds out when the
    /// file is back.
    fn post(&self, event: Event) -> Result<()> {
        let job = Job { event: Some(encode(event)?), done: None };
        let broken = self.broken.load(Ordering::Relaxed);
        self.jobs.try_send(job).map_err(|_| unavailable("the queue is full"))?;
        if broken {
            return Err(unavailable("the file could not be written"));
        }
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        self.wait_for(None).await
    }
}

/// Something for the writer to do.
#[derive(Debug)]
struct Job {
    /// The event as JSON; none for a flush.
    event: Option<Vec<u8>>,
    /// Whom to tell; none for a posted record.
    done: Option<oneshot::Sender<Result<()>>>,
}

/// The thread's side of the queue.
struct Writer {
    log: Log,
    queue: mpsc::Receiver<Job>,
    /// What the next write takes: first the posted records that earlier ones could not write.
    pending: Vec<Job>,
    broken: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self) {
        while let Some(job) = self.queue.blocking_recv() {
            if job.done.is_none() {
                // Whoever waits for a record ends this.
                thread::park_timeout(GATHER);
            }
            self.pending.push(job);
            while self.pending.len() < QUEUE
                && let Ok(job) = self.queue.try_recv()
            {
                self.pending.push(job);
            }
            self.write();
        }
        if !self.pending.is_empty() {
            tracing::error!(records = self.pending.len(), "posted audit records are lost");
        }
    }

    /// Writes all that is pending at once and tells who waits.
    fn write(&mut self) {
        let events = self.pending.iter().filter_map(|job| job.event.as_deref());
        if events.clone().next().is_none() {
            return self.settle();
        }
        match self.log.append(events) {
            Ok(()) => {
                if self.broken.swap(false, Ordering::Relaxed) {
                    tracing::info!(file = %self.log.path().display(), "the audit file is written again");
                }
                self.settle();
            }
            Err(error) => {
                if !self.broken.swap(true, Ordering::Relaxed) {
                    tracing::error!(file = %self.log.path().display(), %error, "the audit file cannot be written");
                }
                self.put_off(&error.to_string());
            }
        }
    }

    fn settle(&mut self) {
        for done in self.pending.drain(..).filter_map(|job| job.done) {
            // Whoever has stopped waiting need not be told.
            let _ = done.send(Ok(()));
        }
    }

    /// Tells those who wait that their record is not kept; the posted ones are tried again.
    fn put_off(&mut self, reason: &str) {
        self.pending.retain_mut(|job| match job.done.take() {
            Some(done) => {
                let _ = done.send(Err(unavailable(reason)));
                false
            }
            None => true,
        });
        // Later ones were posted after `broken` was set, which their callers were told.
        self.pending.truncate(2 * QUEUE);
    }
}

/// A thread that is waited for when this is dropped.
#[derive(Debug)]
struct Joined(Option<JoinHandle<()>>);

impl Joined {
    /// Ends the thread's pause, or the next one.
    fn hurry(&self) {
        if let Some(thread) = &self.0 {
            thread.thread().unpark();
        }
    }
}

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

//! What waits for a sink's writer: records that someone waits for, and posted ones, which are tried again
//! while the writer fails.
//!
//! Knows who is told what, and when; not what the records are written to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{Encoded, Event, unavailable};
use crate::error::Result;

/// How many records may wait to be written.
pub(super) const LENGTH: usize = 1024;

/// The most bytes of records that are written at once, unless a single one has more.
const WRITE_MOST: usize = 16 << 20;

/// The end of a queue that takes records.
#[derive(Debug)]
pub(crate) struct Queue {
    jobs: mpsc::Sender<Job>,
    broken: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

/// The writer's end of a queue.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: mpsc::Receiver<Job>,
    /// What is written next: first the posted records that could not be written before.
    jobs: Vec<Job>,
    broken: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

/// Something for the writer to do.
#[derive(Debug)]
struct Job {
    /// None for a flush.
    record: Option<Encoded>,
    /// Whom to tell; none for a posted record.
    done: Option<oneshot::Sender<Result<()>>>,
}

/// A queue, and what its writer reads.
pub(crate) fn queue() -> (Queue, Waiting) {
    let (jobs, queue) = mpsc::channel(LENGTH);
    let (broken, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let waiting = Waiting { queue, jobs: Vec::new(), broken: broken.clone(), lost: lost.clone() };
    (Queue { jobs, broken, lost }, waiting)
}

impl Queue {
    /// Takes the record to be kept soon; returns at once.
    ///
    /// A record that was taken stays in memory while it cannot be written. When the writer is known to fail, the
    /// answer is an error, but the record is still tried: so the writer finds out when it works again.
    pub(crate) fn post(&self, event: Event) -> Result<()> {
        let job = Job { record: Some(event.try_into()?), done: None };
        let broken = self.is_failing();
        if self.jobs.try_send(job).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(unavailable("the queue is full"));
        }
        if broken { Err(unavailable("the records before could not be written")) } else { Ok(()) }
    }

    /// The same, once there is a place for it; while the writer fails, nobody waits for one.
    pub(crate) async fn take(&self, event: Event) -> Result<()> {
        if self.is_failing() {
            return self.post(event);
        }
        let job = Job { record: Some(event.try_into()?), done: None };
        self.jobs.send(job).await.map_err(|_| unavailable("the writer has ended"))
    }

    /// Returns once the record is written.
    pub(crate) async fn keep(&self, event: Event) -> Result<()> {
        self.wait_for(Some(event.try_into()?)).await
    }

    /// Returns once all that was taken is written.
    pub(crate) async fn flush(&self) -> Result<()> {
        self.wait_for(None).await
    }

    /// How many records were given up so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Whether the last records could not be written.
    pub(crate) fn is_failing(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    async fn wait_for(&self, record: Option<Encoded>) -> Result<()> {
        let (done, kept) = oneshot::channel();
        let job = Job { record, done: Some(done) };
        self.jobs.send(job).await.map_err(|_| unavailable("the writer has ended"))?;
        kept.await.unwrap_or_else(|_| Err(unavailable("the writer has ended")))
    }
}

impl Waiting {
    /// Waits for something to write, and so long for others to share the write, unless someone waits for it or there
    /// are `most`. False once the queue is closed and empty.
    pub(crate) async fn gather(&mut self, most: usize, pause: Duration) -> bool {
        let Some(first) = self.queue.recv().await else {
            if !self.jobs.is_empty() {
                tracing::error!(records = self.jobs.len(), "posted audit records are lost");
            }
            return false;
        };
        let mut hurried = first.done.is_some();
        self.jobs.push(first);
        let deadline = Instant::now() + pause;
        while !hurried
            && self.jobs.len() < most
            && let Ok(Some(job)) = timeout_at(deadline, self.queue.recv()).await
        {
            hurried = job.done.is_some();
            self.jobs.push(job);
        }
        while self.jobs.len() < most
            && let Ok(job) = self.queue.try_recv()
        {
            self.jobs.push(job);
        }
        true
    }

    /// How many records and flushes are to be done.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// How many of the first `most` are small enough to be written at once.
    pub(crate) fn fitting(&self, most: usize) -> usize {
        let mut bytes: usize = 0;
        let fits = |job: &&Job| {
            let record = job.record.as_ref().map_or(0, |record| record.as_bytes().len());
            bytes = bytes.saturating_add(record);
            bytes <= WRITE_MOST
        };
        self.jobs.iter().take(most).take_while(fits).count().max(1)
    }

    /// The records among the first `count`.
    pub(crate) fn records(&self, count: usize) -> impl Iterator<Item = &Encoded> + Clone {
        self.jobs.iter().take(count).filter_map(|job| job.record.as_ref())
    }

    /// Whether there are any records among the first `count`, and not only flushes.
    pub(crate) fn has_records(&self, count: usize) -> bool {
        self.records(count).next().is_some()
    }

    /// The writer has written. True if it could not before.
    pub(crate) fn mend(&self) -> bool {
        self.broken.swap(false, Ordering::Relaxed)
    }

    /// The writer cannot write. True if it could before.
    pub(crate) fn fail(&self) -> bool {
        !self.broken.swap(true, Ordering::Relaxed)
    }

    /// Takes the first `count` out, and tells those who wait for them.
    pub(crate) fn settle(&mut self, count: usize, answer: impl Fn() -> Result<()>) {
        for done in self.jobs.drain(..count.min(self.jobs.len())).filter_map(|job| job.done) {
            // Whoever has stopped waiting need not be told.
            let _ = done.send(answer());
        }
    }

    /// The records among the first `count` are given up: takes them out, and tells those who wait for them.
    pub(crate) fn refuse(&mut self, count: usize, reason: &str) {
        self.lose(self.records(count).count());
        self.settle(count, || Err(unavailable(reason)));
    }

    fn lose(&self, records: usize) {
        self.lost.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Tells those who wait that their record is not kept; the posted ones are tried again.
    pub(crate) fn put_off(&mut self, reason: &str) {
        let before = self.records(self.len()).count();
        self.jobs.retain_mut(|job| match job.done.take() {
            Some(done) => {
                let _ = done.send(Err(unavailable(reason)));
                false
            }
            None => true,
        });
        // Later ones were posted after `broken` was set, which their callers were told.
        self.jobs.truncate(2 * LENGTH);
        self.lose(before - self.records(self.len()).count());
    }
}

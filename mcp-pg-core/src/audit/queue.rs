//! The queue of a sink: records that callers wait for, and posted ones, which are retried while the writer fails.
//!
//! Knows who is notified and when, but not where records are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::{Encoded, Event, unavailable};
use crate::error::Result;

/// The most records that may wait to be written.
pub(super) const LENGTH: usize = 1024;

/// The most bytes that are written at once, unless a single record is larger.
const WRITE_MOST: usize = 16 << 20;

/// The sending end of the queue.
#[derive(Debug)]
pub(crate) struct Queue {
    jobs: mpsc::Sender<Job>,
    broken: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

/// The writer's end of the queue.
#[derive(Debug)]
pub(crate) struct Waiting {
    queue: mpsc::Receiver<Job>,
    /// The jobs to do next, beginning with posted records that could not be written before.
    jobs: Vec<Job>,
    broken: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
}

/// A job for the writer.
#[derive(Debug)]
struct Job {
    /// The record; `None` for a flush.
    record: Option<Encoded>,
    /// Who waits for the job; `None` for a posted record.
    done: Option<oneshot::Sender<Result<()>>>,
}

/// A queue, as its two ends.
pub(crate) fn queue() -> (Queue, Waiting) {
    let (jobs, queue) = mpsc::channel(LENGTH);
    let (broken, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let waiting = Waiting { queue, jobs: Vec::new(), broken: broken.clone(), lost: lost.clone() };
    (Queue { jobs, broken, lost }, waiting)
}

impl Queue {
    /// Queues the record, and returns at once.
    ///
    /// A queued record stays in memory until it can be written. If the writer is failing, this returns an error but
    /// still queues the record, so that the writer notices when it works again.
    pub(crate) fn post(&self, event: Event) -> Result<()> {
        let job = Job { record: Some(event.try_into()?), done: None };
        let broken = self.is_failing();
        if self.jobs.try_send(job).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(unavailable("the queue is full"));
        }
        if broken { Err(unavailable("the records before could not be written")) } else { Ok(()) }
    }

    /// The same, once the queue has room. While the writer is failing, this does not wait.
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

    /// Returns once all queued records are written.
    pub(crate) async fn flush(&self) -> Result<()> {
        self.wait_for(None).await
    }

    /// The number of lost records.
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
    /// Waits for jobs. Waits `pause` longer so that further records can share the write, unless a caller waits or
    /// there are `most` records. Returns false once the queue is closed and empty.
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

    /// The number of jobs.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The number of the first `most` jobs whose records may be written at once.
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

    /// The writer has succeeded. Returns whether it was failing before.
    pub(crate) fn mend(&self) -> bool {
        self.broken.swap(false, Ordering::Relaxed)
    }

    /// The writer has failed. Returns whether it worked before.
    pub(crate) fn fail(&self) -> bool {
        !self.broken.swap(true, Ordering::Relaxed)
    }

    /// Removes the first `count` jobs, and notifies those who wait for them.
    pub(crate) fn settle(&mut self, count: usize, answer: impl Fn() -> Result<()>) {
        for done in self.jobs.drain(..count.min(self.jobs.len())).filter_map(|job| job.done) {
            // Nobody may be waiting any more.
            let _ = done.send(answer());
        }
    }

    /// Removes the first `count` jobs, whose records are lost, and notifies those who wait for them.
    pub(crate) fn refuse(&mut self, count: usize, reason: &str) {
        self.lose(self.records(count).count());
        self.settle(count, || Err(unavailable(reason)));
    }

    fn lose(&self, records: usize) {
        self.lost.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Notifies those who wait that their records are not written. Posted records are retried.
    pub(crate) fn put_off(&mut self, reason: &str) {
        let before = self.records(self.len()).count();
        self.jobs.retain_mut(|job| match job.done.take() {
            Some(done) => {
                let _ = done.send(Err(unavailable(reason)));
                false
            }
            None => true,
        });
        // Later records were posted after `broken` was set, so their callers got an error.
        self.jobs.truncate(2 * LENGTH);
        self.lose(before - self.records(self.len()).count());
    }
}

//! The queue of a sink: records that callers wait for, and posted ones, which are retried while the writer fails.
//!
//! Knows who is notified and when, but not where records are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::{AuditSink, Encoded, Event, unavailable};
use crate::error::Result;

/// The most records that may wait to be written.
pub(super) const LENGTH: usize = 1024;

/// The most bytes of the records that wait to be written, and of those that are put off.
pub(super) const BYTES_MOST: usize = 32 << 20;

/// The most bytes that are written at once, unless a single record is larger.
const WRITE_MOST: usize = 16 << 20;

/// How long after a failure the writer tries again, even if no further record comes.
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// The sending end of the queue.
#[derive(Debug)]
pub(crate) struct Queue {
    jobs: mpsc::Sender<Job>,
    /// The bytes that may still wait.
    room: Arc<Semaphore>,
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
    /// Its part of the queue's bytes; `None` once it is put off.
    room: Option<OwnedSemaphorePermit>,
}

/// A queue, as its two ends.
pub(crate) fn queue() -> (Queue, Waiting) {
    let (jobs, queue) = mpsc::channel(LENGTH);
    let (broken, lost) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let waiting = Waiting { queue, jobs: Vec::new(), broken: broken.clone(), lost: lost.clone() };
    let room = Arc::new(Semaphore::new(BYTES_MOST));
    (Queue { jobs, room, broken, lost }, waiting)
}

#[async_trait]
impl AuditSink for Queue {
    async fn write(&self, event: Event) -> Result<()> {
        self.wait_for(Some(event.try_into()?)).await
    }

    async fn enqueue(&self, event: Event) -> Result<()> {
        // A queue whose writer is failing may have no room for long.
        if self.is_failing() {
            return self.try_enqueue(event);
        }
        self.send(Some(event.try_into()?), None).await
    }

    /// A queued record stays in memory until it can be written. If the writer is failing, this returns an error but
    /// still queues the record.
    fn try_enqueue(&self, event: Event) -> Result<()> {
        let record: Encoded = event.try_into()?;
        let broken = self.is_failing();
        let queued = self.room.clone().try_acquire_many_owned(record.size()).is_ok_and(|room| {
            let job = Job { record: Some(record), done: None, room: Some(room) };
            self.jobs.try_send(job).is_ok()
        });
        if !queued {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err(unavailable("the queue is full"));
        }
        if broken { Err(unavailable("the records before could not be written")) } else { Ok(()) }
    }

    async fn flush(&self) -> Result<()> {
        self.wait_for(None).await
    }

    fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn is_failing(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

impl Queue {
    /// Queues a record, or a flush, and returns once it is done.
    async fn wait_for(&self, record: Option<Encoded>) -> Result<()> {
        let (done, kept) = oneshot::channel();
        self.send(record, Some(done)).await?;
        kept.await.unwrap_or_else(|_| Err(unavailable("the writer has ended")))
    }

    /// Queues a job, once there is room for it.
    async fn send(
        &self,
        record: Option<Encoded>,
        done: Option<oneshot::Sender<Result<()>>>,
    ) -> Result<()> {
        // A flush takes room, too, so that it does not overtake records that wait for room.
        let size = record.as_ref().map_or(1, Encoded::size);
        let room = self.room.clone().acquire_many_owned(size).await.map_err(unavailable)?;
        let job = Job { record, done, room: Some(room) };
        self.jobs.send(job).await.map_err(|_| unavailable("the writer has ended"))
    }
}

impl Waiting {
    /// Waits for jobs, for a limited time if records were put off. Waits `pause` longer so that further records can
    /// share the write, unless a caller waits or there are `most` of them. Returns false once the queue is closed and
    /// empty.
    pub(crate) async fn gather(&mut self, most: usize, pause: Duration) -> bool {
        let first = match self.jobs.is_empty() {
            true => self.queue.recv().await,
            false => match timeout(RETRY, self.queue.recv()).await {
                Ok(first) => first,
                Err(_) => return true,
            },
        };
        let Some(first) = first else {
            if !self.jobs.is_empty() {
                tracing::error!(records = self.jobs.len(), "posted audit records are lost");
            }
            return false;
        };
        // Besides those that were put off: while the writer fails, callers should hear of it soon.
        let most = self.jobs.len().saturating_add(most);
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
        self.within(most, WRITE_MOST).max(1)
    }

    /// The number of the first `most` jobs whose records have at most so many bytes.
    fn within(&self, most: usize, bytes: usize) -> usize {
        let mut sum: usize = 0;
        let fits = |job: &&Job| {
            sum =
                sum.saturating_add(job.record.as_ref().map_or(0, |record| record.as_bytes().len()));
            sum <= bytes
        };
        self.jobs.iter().take(most).take_while(fits).count()
    }

    /// The records among the first `count`.
    pub(crate) fn records(&self, count: usize) -> impl Iterator<Item = &Encoded> + Clone {
        self.jobs.iter().take(count).filter_map(|job| job.record.as_ref())
    }

    /// Whether there are any records among the first `count`, and not only flushes.
    pub(crate) fn has_records(&self, count: usize) -> bool {
        self.records(count).next().is_some()
    }

    /// Whether the last records could not be written.
    pub(crate) fn is_failing(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    /// All records are written. Returns whether the writer was failing before.
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

    /// Removes the first `count` jobs, and notifies those who wait for them. Posted records are lost.
    pub(crate) fn refuse(&mut self, count: usize, reason: &str) {
        let posted = |job: &&Job| job.record.is_some() && job.done.is_none();
        self.lose(self.jobs.iter().take(count).filter(posted).count());
        self.settle(count, || Err(unavailable(reason)));
    }

    fn lose(&self, records: usize) {
        self.lost.fetch_add(records as u64, Ordering::Relaxed);
    }

    /// Notifies those who wait that their records are not written. Posted records are retried. They leave the queue's
    /// room to later records, which can then tell that the writer works again.
    pub(crate) fn put_off(&mut self, reason: &str) {
        self.jobs.retain_mut(|job| match job.done.take() {
            Some(done) => {
                let _ = done.send(Err(unavailable(reason)));
                false
            }
            None => {
                job.room = None;
                true
            }
        });
        let before = self.records(self.len()).count();
        // Later records were posted after `broken` was set, so their callers got an error.
        self.jobs.truncate(self.within(2 * LENGTH, BYTES_MOST));
        self.lose(before - self.records(self.len()).count());
    }
}

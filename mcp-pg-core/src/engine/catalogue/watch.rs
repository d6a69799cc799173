//! Watches the database for changes, and notifies subscribers.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout_at};

use crate::engine::Engine;
use crate::error::Result;
use crate::execute::Listener;
use crate::name::TableName;

/// Notifications within this time of the first one are handled as one change.
const SETTLE: Duration = Duration::from_millis(50);

/// The polling interval if a trigger notifies of changes. The trigger may be dropped, and does not notify of changes
/// to roles.
const LOOK_ANYWAY: Duration = Duration::from_secs(60);

/// The delay before a changed schema is read again after an error.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The delays between attempts to connect.
const PAUSE_LEAST: Duration = Duration::from_millis(500);
const PAUSE_MOST: Duration = Duration::from_secs(30);

/// A change of something that callers may have read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The schema or the settings. Whether what a role sees has changed shows [`View::digest`](crate::policy::View).
    Catalogue,
    /// Rows of these tables. The receiver has to check whether a caller may see them.
    Rows(Arc<BTreeSet<TableName>>),
    /// Notifications may have been lost: any rows may have changed.
    Missed,
}

impl Engine {
    /// Receives changes from now on. They are noticed only while [`Engine::follow`] runs.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Waits until [`Engine::follow`], which another task runs, listens for notifications or has failed to: from then on no
    /// change is missed.
    pub async fn attends(&self) {
        // The sender is in the engine, so this cannot fail.
        let _ = self.attentive.subscribe().wait_for(|attentive| *attentive).await;
    }

    /// Watches the database for changes; never returns. To be spawned, and dropped at the end.
    ///
    /// Listens on its own connection for notifications of the triggers that `mcp-pg-server setup-sql` prints. Without the trigger
    /// for schema changes, it compares the catalogue's signature every `poll`. A changed schema is read again while calls go on
    /// with the old one.
    ///
    /// If that connection fails, it is retried forever. Meanwhile, the catalogue is compared over the pool's connections.
    pub async fn follow(&self, poll: Duration) -> Infallible {
        let mut pause = PAUSE_LEAST;
        let (mut missed, mut warned) = (false, false);
        loop {
            let listener = self.database.listen().await;
            self.attentive.send_replace(true);
            let error = match listener {
                Ok(listener) => {
                    let since = Instant::now();
                    if missed {
                        self.tell(Change::Missed);
                        // It may be another server, or one restored from a backup, so signatures cannot be compared.
                        if let Err(error) = self.reload().await {
                            tracing::warn!(%error, "the schema could not be read again");
                        }
                    }
                    let Err(error) = self.attend(&listener, poll).await;
                    // A connection that is cut soon after it was made may be so each time.
                    if since.elapsed() >= PAUSE_MOST {
                        (pause, warned) = (PAUSE_LEAST, false);
                    }
                    error
                }
                Err(error) => error,
            };
            missed = true;
            if !std::mem::replace(&mut warned, true) {
                let cause = error.cause();
                tracing::warn!(%error, cause, "changes in the database are not noticed at the moment");
            }
            self.do_without(pause, poll).await;
            pause = (pause * 2).min(PAUSE_MOST);
        }
    }

    /// Polls over the connections of calls for some time.
    async fn do_without(&self, time: Duration, poll: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            sleep(poll.clamp(PAUSE_LEAST, PAUSE_MOST).min(time)).await;
            let catalogue = self.catalogue.load_full();
            let known = &catalogue.signature;
            let schemas = catalogue.settings.watched_schemas();
            let now = self.database.signature(&schemas, Some(known)).await;
            // If there is no connection at all, the calls report that.
            if let Ok(now) = now {
                self.keep_up(&catalogue, &now).await;
            }
        }
    }

    /// Watches until the connection is lost.
    async fn attend(&self, listener: &Listener, poll: Duration) -> Result<Infallible> {
        // The signature of the last poll, if the catalogue was up to date with it.
        let mut seen = None;
        let mut notified = false;
        // If the schema changes constantly, at most half of the time is spent reading it.
        let mut rested = Instant::now();
        loop {
            let snapshot = listener.snapshot().await?;
            if snapshot.is_none() || snapshot != seen {
                let catalogue = self.catalogue.load_full();
                let schemas = catalogue.settings.watched_schemas();
                let now = listener.poll(&schemas, &catalogue.signature).await?;
                (seen, notified) = (snapshot, now.notifies);
                let begun = Instant::now();
                if !self.keep_up(&catalogue, &now.signature).await {
                    seen = None;
                }
                rested = Instant::now() + begun.elapsed();
                // No trigger notifies of roles and locks.
                if self.catalogue.load().is_partial() {
                    seen = None;
                }
            }
            let pause = match (&seen, notified) {
                (None, true) => poll.min(LOOK_AGAIN),
                (_, true) => poll.max(LOOK_ANYWAY),
                (_, false) => poll,
            };
            let mut next = (Instant::now() + pause).max(rested);
            // A busy table sends notifications constantly; they must not delay polling forever.
            while Instant::now() < next
                && let Ok(heard) = timeout_at(next, listener.wait()).await
            {
                heard?;
                sleep(SETTLE).await;
                let heard = listener.take();
                if !heard.rows.is_empty() {
                    self.tell(Change::Rows(Arc::new(heard.rows)));
                }
                if heard.schema {
                    next = rested;
                }
            }
        }
    }

    pub(in crate::engine) fn tell(&self, change: Change) {
        // There may be no receivers.
        let _ = self.changes.send(change);
    }
}

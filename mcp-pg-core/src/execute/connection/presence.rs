//! Whether the database is available, according to the last attempt to get a connection. Logs one line when it
//! becomes unavailable and one when it is back, however many calls notice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{PoolError, TimeoutType};

use crate::error::cause::chain;

/// The minimum time between such lines.
const SILENCE: Duration = Duration::from_secs(10);

/// The availability of the database.
#[derive(Debug, Default)]
pub(super) struct Presence {
    there: AtomicBool,
    /// Whether it has become unavailable and the log does not say so yet.
    untold: AtomicBool,
    /// Whether the log says that it is unavailable.
    told: AtomicBool,
    /// When the log last said so.
    away: Mutex<Option<Instant>>,
    /// When the log last said that there was no connection although the database is available.
    busy: Mutex<Option<Instant>>,
}

impl Presence {
    /// Whether it was available at the last attempt.
    pub(super) fn is_there(&self) -> bool {
        self.there.load(Ordering::Relaxed)
    }

    /// A connection was taken.
    pub(super) fn found(&self) {
        if self.is_there() || self.there.swap(true, Ordering::Relaxed) {
            return;
        }
        self.untold.store(false, Ordering::Relaxed);
        if self.told.swap(false, Ordering::Relaxed) {
            tracing::warn!("the database is back");
        }
    }

    /// No connection could be taken, because of `error`.
    pub(super) fn missed(&self, error: &PoolError) {
        let cause = std::error::Error::source(error).map(chain);
        let now = Instant::now();
        match is_away(error) {
            true if self.is_lost(now) => tracing::error!(%error, cause, "the database is away"),
            false if is_due(&self.busy, now) => {
                tracing::warn!(%error, cause, "calls find no connection to the database");
            }
            _ => {}
        }
    }

    /// Notes that it is unavailable. Returns whether to log that.
    fn is_lost(&self, now: Instant) -> bool {
        // If it never was available, the caller who starts the server is told.
        if self.there.swap(false, Ordering::Relaxed) {
            self.untold.store(true, Ordering::Relaxed);
        }
        // What comes too soon after the last line is told of at a later attempt.
        let due = self.untold.load(Ordering::Relaxed) && is_due(&self.away, now);
        if due {
            self.untold.store(false, Ordering::Relaxed);
            self.told.store(true, Ordering::Relaxed);
        }
        due
    }
}

/// Whether the last line is old enough for another one, which is then noted.
fn is_due(last: &Mutex<Option<Instant>>, now: Instant) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|last| now.duration_since(last) >= SILENCE);
    if due {
        *last = Some(now);
    }
    due
}

/// Whether the error means that the database is unavailable, rather than that there are too many connections.
fn is_away(error: &PoolError) -> bool {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => false,
        PoolError::Backend(error) => {
            !error.code().is_some_and(|state| state.code().starts_with("53"))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_comes_and_goes_is_told_of_now_and_then() {
        let presence = Presence::default();
        let began = Instant::now();
        assert!(!presence.is_lost(began), "it was never there");
        let told: Vec<bool> = [0, 0, 1, 9, 10, 11, 20]
            .map(|second| {
                presence.found();
                presence.is_lost(began + Duration::from_secs(second))
            })
            .into();
        assert_eq!(told, [true, false, false, false, true, false, true]);
        assert!(!presence.is_lost(began + Duration::from_secs(60)), "it is away already");
    }

    #[test]
    fn an_outage_soon_after_another_is_told_of_while_it_lasts() {
        let presence = Presence::default();
        let began = Instant::now();
        presence.found();
        assert!(presence.is_lost(began));
        presence.found();
        let told: Vec<bool> = [4, 5, 12, 13]
            .map(|second| presence.is_lost(began + Duration::from_secs(second)))
            .into();
        assert_eq!(told, [false, false, true, false]);
    }
}

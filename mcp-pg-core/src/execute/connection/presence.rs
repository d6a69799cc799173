//! Whether the database is available, by the last attempt to get a connection: one line in the log when it goes away,
//! one when it is back, however many calls find out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::{PoolError, TimeoutType};

use crate::error::cause::chain;

/// How long the log is told nothing more of a database that comes and goes.
const SILENCE: Duration = Duration::from_secs(10);

/// What is known of the database.
#[derive(Debug, Default)]
pub(super) struct Presence {
    there: AtomicBool,
    /// Whether the log says that it is away.
    told: AtomicBool,
    /// When the log was last told so.
    away: Mutex<Option<Instant>>,
    /// When it was last told that there was no connection although the database is there.
    busy: Mutex<Option<Instant>>,
}

impl Presence {
    /// Whether it was there when it was last looked for.
    pub(super) fn is_there(&self) -> bool {
        self.there.load(Ordering::Relaxed)
    }

    /// There is a connection.
    pub(super) fn found(&self) {
        if !self.is_there()
            && !self.there.swap(true, Ordering::Relaxed)
            && self.told.swap(false, Ordering::Relaxed)
        {
            tracing::warn!("the database is back");
        }
    }

    /// There is none, because of `error`.
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

    /// Notes that it is away; true if the log is to be told.
    fn is_lost(&self, now: Instant) -> bool {
        // What was never there has not gone: who starts the server learns that.
        if !self.there.swap(false, Ordering::Relaxed) {
            return false;
        }
        let due = is_due(&self.away, now);
        self.told.fetch_or(due, Ordering::Relaxed);
        due
    }
}

/// Whether the log has been told nothing of it for a while; from now on it has been.
fn is_due(last: &Mutex<Option<Instant>>, now: Instant) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let due = last.is_none_or(|last| now.duration_since(last) >= SILENCE);
    if due {
        *last = Some(now);
    }
    due
}

/// Whether the database is not there: it is where all connections are on loan, or it has too many.
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
}

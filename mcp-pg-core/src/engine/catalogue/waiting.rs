//! When PostgreSQL is asked again about canned queries: one that it cannot describe for now, because a table of it is locked or
//! resources are short, and those that it refuses to a role.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::execute::Database;

/// The delay before the first try. Each try may wait for a lock, and changes are noticed only after it.
const PAUSE: Duration = Duration::from_secs(2);

/// The longest delay.
const PAUSE_MOST: Duration = Duration::from_secs(30);

/// A query that cannot be described for now.
pub(super) struct Waiting {
    text: String,
    tries: Tries,
}

/// Tries less and less often.
pub(super) struct Tries {
    next: Mutex<Next>,
}

/// The next try.
struct Next {
    at: Instant,
    pause: Duration,
}

impl Tries {
    pub(super) fn new() -> Self {
        Self { next: Mutex::new(Next { at: Instant::now() + PAUSE, pause: PAUSE }) }
    }

    pub(super) fn are_due(&self) -> bool {
        Instant::now() >= self.next().at
    }

    /// Puts the next one off; whether it is the first that failed.
    pub(super) fn put_off(&self, now: Instant) -> bool {
        let mut next = self.next();
        let first = next.pause == PAUSE;
        next.pause = PAUSE_MOST.min(next.pause * 2);
        next.at = now + next.pause;
        first
    }

    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    pub(super) fn new(text: String) -> Self {
        Self { text, tries: Tries::new() }
    }

    /// Whether this is the same query.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        self.text == other.text
    }

    /// Whether PostgreSQL describes the query now, or refuses it for another reason. It is asked less and less often.
    pub(super) async fn is_over(&self, database: &Database) -> bool {
        if !self.tries.are_due() {
            return false;
        }
        let described = database.described(std::slice::from_ref(&self.text)).await;
        let described = described.unwrap_or_default();
        let over = described
            .first()
            .is_some_and(|described| !matches!(described, Err(refused) if refused.passing));
        if !over && self.tries.put_off(Instant::now()) {
            let most = PAUSE_MOST.as_secs();
            tracing::warn!(
                "a canned query still waits for a lock or for resources; it is tried again, at least every {most} s"
            );
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_less_and_less_often() {
        let tries = Tries::new();
        let now = Instant::now();
        let put_off = |number| {
            assert_eq!(tries.put_off(now), number == 0);
            tries.next().at.duration_since(now).as_secs()
        };
        assert_eq!(Vec::from_iter((0..6).map(put_off)), [4, 8, 16, 30, 30, 30]);
    }
}

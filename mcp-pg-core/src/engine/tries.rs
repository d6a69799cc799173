//! When a transaction that collided with others is run again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{Code, Error};
use crate::plan::Scope;

/// How long to wait before the first time, and at most as long again.
const PAUSE: Duration = Duration::from_millis(5);

/// Where those wait for each other that have collided; what they write decides which of the places.
pub(super) struct Turns(Vec<Mutex<()>>);

/// More than there are tables which are fought for at one time.
const PLACES: u64 = 64;

impl Turns {
    pub(super) fn new() -> Self {
        Self((0..PLACES).map(|_| Mutex::default()).collect())
    }

    fn place(&self, what: &str) -> Option<&Mutex<()>> {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        self.0.get(usize::try_from(hasher.finish() % PLACES).ok()?)
    }
}

/// How often and when a transaction is run again.
pub(super) struct Tries<'t> {
    left: u32,
    until: Instant,
    collided: bool,
    place: Option<&'t Mutex<()>>,
    turn: Option<MutexGuard<'t, ()>>,
}

impl<'t> Tries<'t> {
    /// Of a transaction that writes to `what`.
    pub(super) fn of(scope: &Scope<'_>, turns: &'t Turns, what: &str) -> Self {
        Self {
            left: scope.settings.concurrency.retries,
            until: Instant::now() + scope.settings.timeouts.transaction,
            collided: false,
            place: turns.place(what),
            turn: None,
        }
    }

    /// Whether to run again, after a pause: PostgreSQL asked for it, and it was neither too often nor for too long.
    ///
    /// Whoever collided twice waits for a turn: together they would go on to collide.
    pub(super) async fn again(&mut self, error: &Error) -> bool {
        let over = self.left == 0 || Instant::now() >= self.until;
        if error.code() != Code::SerializationFailure || over {
            return false;
        }
        self.left -= 1;
        if !std::mem::replace(&mut self.collided, true) {
            // Transactions that collided and wait equally long would collide again.
            let spread = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
            sleep(PAUSE + PAUSE * spread / 256).await;
        } else if let (None, Some(place)) = (&self.turn, self.place) {
            self.turn = timeout_at(self.until, place.lock()).await.ok();
            return self.turn.is_some();
        }
        true
    }
}

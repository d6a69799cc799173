//! Retries of transactions after serialization failures.

use std::collections::HashMap;
use std::sync::{self, Arc, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{Code, Error};
use crate::plan::Scope;

/// The least delay before the first retry. A random time up to the same is added.
const PAUSE: Duration = Duration::from_millis(5);

/// Where transactions that collided wait for each other: one queue for each table, so that no transaction waits for
/// writers of another table.
#[derive(Default)]
pub(in crate::engine) struct Turns(sync::Mutex<HashMap<String, Weak<Mutex<()>>>>);

impl Turns {
    fn place(&self, what: &str) -> Arc<Mutex<()>> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = places.get(what).and_then(Weak::upgrade) {
            return known;
        }
        places.retain(|_, place| place.strong_count() > 0);
        let place = Arc::default();
        places.insert(what.to_owned(), Arc::downgrade(&place));
        place
    }
}

/// How often and when a transaction is retried.
pub(in crate::engine) struct Retries<'t> {
    left: u32,
    until: Instant,
    collided: bool,
    turns: &'t Turns,
    what: &'t str,
    turn: Option<OwnedMutexGuard<()>>,
}

impl<'t> Retries<'t> {
    /// For a transaction that writes to `what`.
    pub(in crate::engine) fn of(scope: &Scope<'_>, turns: &'t Turns, what: &'t str) -> Self {
        Self {
            left: scope.settings.concurrency.retries,
            until: Instant::now() + scope.settings.timeouts.transaction,
            collided: false,
            turns,
            what,
            turn: None,
        }
    }

    /// Whether to try again, after a delay: if PostgreSQL asks for it, and neither the number of attempts nor the
    /// time is exhausted.
    ///
    /// After two collisions, a transaction waits for its turn, because otherwise the same ones would collide again.
    pub(in crate::engine) async fn again(&mut self, error: &Error) -> bool {
        let over = self.left == 0 || Instant::now() >= self.until;
        if error.code() != Code::SerializationFailure || over {
            return false;
        }
        self.left -= 1;
        if !std::mem::replace(&mut self.collided, true) {
            // Transactions with equal delays would collide again.
            let spread = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
            sleep(PAUSE + PAUSE * spread / 256).await;
        } else if self.turn.is_none() {
            let place = self.turns.place(self.what);
            self.turn = timeout_at(self.until, place.lock_owned()).await.ok();
            return self.turn.is_some();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_has_a_place_of_its_own_while_somebody_is_there() {
        let turns = Turns::default();
        let held: Vec<_> = (0..200).map(|n| turns.place(&format!("public.t{n}"))).collect();
        assert!(
            held.iter().all(|place| place.try_lock().is_ok_and(|_| Arc::strong_count(place) == 1))
        );
        assert!(Arc::ptr_eq(&turns.place("public.t7"), &held[7]));
        drop(held);
        let _one = turns.place("public.t1");
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}

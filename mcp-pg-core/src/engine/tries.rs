//! When a transaction that collided with others is run again.

use std::time::Duration;

use crate::error::{Code, Error};
use crate::plan::Scope;

/// How often and when a transaction is run again.
pub(super) struct Tries {
    left: u32,
    pause: Duration,
}

impl Tries {
    pub(super) fn of(scope: &Scope<'_>) -> Self {
        Self { left: scope.settings.concurrency.retries, pause: Duration::from_millis(5) }
    }

    /// Whether to run again, after a pause: PostgreSQL asked for it, and it was not too often.
    pub(super) async fn again(&mut self, error: &Error) -> bool {
        if error.code() != Code::SerializationFailure || self.left == 0 {
            return false;
        }
        self.left -= 1;
        // Transactions that collided and wait equally long would collide again.
        let spread = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
        tokio::time::sleep(self.pause + self.pause * spread / 256).await;
        self.pause *= 2;
        true
    }
}

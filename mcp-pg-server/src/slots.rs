//! What callers hold at the same time, of which each may have only so many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The number that each caller holds, of those who hold any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slots(Arc<Mutex<HashMap<String, usize>>>);

/// One that a caller holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Slots,
    caller: String,
}

impl Slots {
    /// Takes one, unless the caller holds `most` already.
    pub(crate) fn take(&self, caller: String, most: usize) -> Option<Slot> {
        let mut held = self.held();
        let own = held.entry(caller.clone()).or_default();
        if *own >= most {
            return None;
        }
        *own += 1;
        drop(held);
        Some(Slot { slots: self.clone(), caller })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.slots.held();
        if let Some(own) = held.get_mut(&self.caller) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                held.remove(&self.caller);
            }
        }
    }
}

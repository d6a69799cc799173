//! What the last look at the catalogue found out about the database as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use super::transaction::Mode;
use crate::schema::{DatabaseId, SessionCode};

/// Which statements may run functions or triggers of the database, and which database it is.
#[derive(Debug, Default)]
pub(crate) struct Known {
    reads: AtomicBool,
    writes: AtomicBool,
    last_numbers: AtomicBool,
    id: ArcSwap<DatabaseId>,
}

impl Known {
    pub(super) fn note(&self, code: SessionCode, id: DatabaseId) {
        self.reads.store(code.reads, Ordering::Relaxed);
        self.writes.store(code.writes, Ordering::Relaxed);
        self.last_numbers.store(code.last_numbers, Ordering::Relaxed);
        self.id.store(Arc::new(id));
    }

    /// Whether statements of a transaction may run code that changes the session beyond it.
    pub(super) fn is_coded(&self, mode: Mode) -> bool {
        let coded = if mode.writes() { &self.writes } else { &self.reads };
        coded.load(Ordering::Relaxed)
    }

    /// Whether code of the database may read the last number that a sequence gave in its session.
    pub(crate) fn reads_last_numbers(&self) -> bool {
        self.last_numbers.load(Ordering::Relaxed)
    }

    /// Which database it is.
    pub(crate) fn id(&self) -> Arc<DatabaseId> {
        self.id.load_full()
    }
}

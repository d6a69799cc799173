//! The state of an engine, for monitoring.

use std::sync::atomic::Ordering;

use super::Engine;
use crate::execute::Connections;

/// What is well with an engine now, and what is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The database, and the connections to it.
    pub connections: Connections,
    /// The schema was read when that was last tried; else the one before it is served.
    pub schema_read: bool,
    /// How many faults there are of canned queries and functions that are meant to be tools.
    pub query_faults: usize,
    /// How many of these are of queries that are served in their last good form.
    pub outdated_queries: usize,
    /// Whether a sink of the audit could not keep the last records.
    pub audit_failing: bool,
    /// How many audit records were given up so far: no sink could keep them, and no more could wait.
    pub lost_records: u64,
}

impl Engine {
    /// The state of the engine, without asking the database.
    pub fn health(&self) -> Health {
        let catalogue = self.catalogue.load();
        let faults = &catalogue.canned.faults;
        Health {
            connections: self.database.connections(),
            schema_read: !self.unread.load(Ordering::Relaxed),
            query_faults: faults.len(),
            outdated_queries: faults.iter().filter(|fault| fault.served).count(),
            audit_failing: self.sinks.are_failing(),
            lost_records: self.sinks.lost(),
        }
    }
}

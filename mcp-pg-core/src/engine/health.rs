//! The state of an engine, for monitoring.

use std::sync::atomic::Ordering;

use super::Engine;
use crate::execute::Connections;

/// The state of an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The database, and the connections to it.
    pub connections: Connections,
    /// Whether the last attempt to read the schema succeeded. If not, the previous one is used.
    pub schema_read: bool,
    /// The number of faults in canned queries and functions that are meant to be tools.
    pub query_faults: usize,
    /// How many of these are in queries whose last valid version is still served.
    pub outdated_queries: usize,
    /// Whether an audit sink could not write the last records, as [`AuditSink::is_failing`](crate::audit::AuditSink::is_failing)
    /// says.
    pub audit_failing: bool,
    /// The number of audit records lost so far, because a sink could not write them and its queue was full, as
    /// [`AuditSink::lost`](crate::audit::AuditSink::lost) says.
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

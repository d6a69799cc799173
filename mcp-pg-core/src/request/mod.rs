//! What a caller may ask, as data: no rules, no schema, no rights.
//!
//! Each type derives both its JSON Schema and its parser, so the two cannot differ. Conditions, rows and
//! relations stay JSON here: what they mean depends on the table, which the plan knows.

mod parse;
mod query;
mod transaction;
mod write;

pub use parse::{Arguments, parse};
pub use query::{
    Aggregate, Archived, Count, DescribeTable, Detail, Explain, Explained, Format, ListTables, Select,
};
pub use transaction::{Isolation, Step, Transaction};
pub use write::{Change, ConflictAction, Delete, Insert, OnConflict, Update};

use serde::Serialize;

/// A request of any kind: what [`Engine::handle`](crate::Engine::handle) answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Request {
    /// Which tables there are.
    ListTables(ListTables),
    /// All about one table.
    DescribeTable(DescribeTable),
    /// Rows of a table.
    Select(Select),
    /// Totals over rows.
    Aggregate(Aggregate),
    /// New rows.
    Insert(Insert),
    /// Changed rows.
    Update(Update),
    /// Rows set aside.
    Archive(Change),
    /// Rows brought back.
    Restore(Change),
    /// Rows removed for good.
    Delete(Delete),
    /// Several of these, all or nothing.
    Transaction(Transaction),
    /// How PostgreSQL would run a select or aggregate.
    Explain(Explain),
}

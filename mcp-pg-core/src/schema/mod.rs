//! The database as its catalogue describes it: typed models, read in one snapshot, never changed.
//!
//! Knows nothing of roles, requests or statements beyond its own catalogue queries.

mod column;
mod comment;
mod data_type;
mod key;
mod operator;
mod relation;
mod table;

pub use column::{Column, Identity};
pub use comment::{COMMENT_MOST, clean};
pub use data_type::{DataType, Field, Kind};
pub use key::{Check, ForeignKey, Index, Key};
pub use operator::{Family, Operator};
pub use relation::{Junction, Relation, RelationKind};
pub use table::{Privileges, RowSecurity, Table, TableKind};

use crate::name::TableName;

/// Everything that the login can see in the configured schemas, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The configured schemas, in the order in which a bare name is looked up.
    pub names: Vec<String>,
    /// COMMENTs on the schemas.
    pub comments: std::collections::HashMap<String, String>,
    /// The tables, sorted by schema (in the configured order) and name.
    pub tables: Vec<Table>,
    /// The relations of each table, by the table's position.
    pub relations: Vec<Vec<Relation>>,
    /// A digest of all of the above but the row estimates: equal digests mean equal schemas.
    pub fingerprint: u64,
    by_name: std::collections::HashMap<TableName, usize>,
}

impl Schema {
    /// The table with exactly this name.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.position(name).map(|position| &self.tables[position])
    }

    /// The table's position in [`Schema::tables`].
    pub fn position(&self, name: &TableName) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}

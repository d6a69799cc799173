//! Constraints and indexes. Columns are given as positions in [`Table::columns`](super::Table).

use super::RelationNames;
use crate::name::TableName;

/// A primary key or a unique constraint or index without expressions and without a predicate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The constraint's name, or the index's where there is no constraint.
    pub name: String,
    /// Positions of the columns, in the key's order.
    pub columns: Vec<usize>,
    /// Whether it can be an `ON CONFLICT` target: not deferrable, and no row that it meets is kept from the table by a
    /// view's condition.
    pub arbiter: bool,
    /// Whether it treats nulls as equal (`NULLS NOT DISTINCT`).
    pub nulls_equal: bool,
    /// The COMMENT on the constraint.
    pub comment: Option<String>,
}

/// A foreign key: column `i` references column `i` of the other table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ForeignKey {
    /// The constraint's name.
    pub name: String,
    /// Positions of the referencing columns in this table.
    pub columns: Vec<usize>,
    /// The referenced table; it may lie outside the configured schemas.
    pub table: TableName,
    /// Names of the referenced columns, paired with `columns`.
    pub references: Vec<String>,
    /// Whether its check may wait until commit.
    pub deferrable: bool,
    /// Whether rows go with the row that they refer to: `ON DELETE CASCADE`.
    pub cascades: bool,
    /// What its relations are called, where a directive says so.
    pub relation_names: RelationNames,
    /// The COMMENT on the constraint.
    pub comment: Option<String>,
}

/// A check constraint of a table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Check {
    /// The constraint's name.
    pub name: String,
    /// The rule, as `pg_get_constraintdef` prints it.
    pub definition: String,
    /// Positions of the columns that it speaks of.
    pub columns: Vec<usize>,
    /// The COMMENT on the constraint.
    pub comment: Option<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Index {
    /// The index's name.
    pub name: String,
    /// What it covers, in order: names of columns, and expressions as `pg_get_indexdef` prints them.
    pub parts: Vec<String>,
    /// Positions of the columns that are parts, in order; expressions are left out.
    pub columns: Vec<usize>,
    /// `btree`, `gin`, …
    pub method: String,
    /// Whether it is unique.
    pub unique: bool,
    /// The exclusion constraint that it serves, as `pg_get_constraintdef` prints it.
    pub exclusion: Option<String>,
    /// The condition of a partial index.
    pub predicate: Option<String>,
    /// Whether texts are found in it by how they begin: a btree's first part is in the order of bytes.
    pub by_bytes: bool,
    /// Positions of every column that it speaks of: in parts, expressions and predicate, and included.
    pub mentions: Vec<usize>,
}

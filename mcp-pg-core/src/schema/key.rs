//! Constraints and indexes. Columns are given by their positions in [`Table::columns`](super::Table).

use super::RelationNames;
use crate::name::TableName;

/// A primary key, a unique constraint, or a unique index without expressions or predicate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The name of the constraint, or of the index if there is no constraint.
    pub name: String,
    /// Positions of the columns, in the key's order.
    pub columns: Vec<usize>,
    /// Whether the key can be the target of ON CONFLICT: it is not deferrable, and if this is a view, its condition
    /// excludes no row with which an insert can conflict.
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
    /// The referenced table. It may lie outside the configured schemas.
    pub table: TableName,
    /// Names of the referenced columns, paired with `columns`.
    pub references: Vec<String>,
    /// Whether the check may be deferred until commit.
    pub deferrable: bool,
    /// Whether deleting the referenced row deletes the referencing ones: `ON DELETE CASCADE`.
    pub cascades: bool,
    /// The names that a directive gives to the relations.
    pub relation_names: RelationNames,
    /// The COMMENT on the constraint.
    pub comment: Option<String>,
}

/// A check constraint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Check {
    /// The constraint's name.
    pub name: String,
    /// The rule, as `pg_get_constraintdef` prints it.
    pub definition: String,
    /// Positions of the columns that the rule uses.
    pub columns: Vec<usize>,
    /// The COMMENT on the constraint.
    pub comment: Option<String>,
}

/// An index.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Index {
    /// The index's name.
    pub name: String,
    /// The parts of the index in order: names of columns, and expressions as `pg_get_indexdef` prints them.
    pub parts: Vec<String>,
    /// Positions of the columns among the parts, in order, without expressions.
    pub columns: Vec<usize>,
    /// The access method: `btree`, `gin`, …
    pub method: String,
    /// Whether the index is unique.
    pub unique: bool,
    /// The exclusion constraint of this index, as `pg_get_constraintdef` prints it.
    pub exclusion: Option<String>,
    /// The condition of a partial index.
    pub predicate: Option<String>,
    /// Whether the index finds texts by a prefix: the first part of a btree is ordered by bytes.
    pub by_bytes: bool,
    /// Positions of all columns that the index uses: in parts, expressions and predicate, and as included columns.
    pub mentions: Vec<usize>,
}

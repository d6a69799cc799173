//! Relations: foreign keys seen from both ends, and through junction tables, with names.

use serde::Serialize;

/// How many rows a relation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// This table's foreign key: one row or none.
    ToOne,
    /// Another table's foreign key to this one.
    ToMany,
    /// Through a junction table whose primary key is two foreign keys.
    ManyToMany,
}

/// A relation from one table to another, as positions in [`Schema::tables`](super::Schema).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The short name: `customer`, `items`; several relations of a table may share it.
    pub name: String,
    /// The name that no other relation of the table has.
    pub unambiguous: String,
    /// How many rows it leads to.
    pub kind: RelationKind,
    /// The table at the other end.
    pub table: usize,
    /// Pairs of column positions: in this table, and in the other one or the junction.
    pub columns: Vec<(usize, usize)>,
    /// The junction and the pairs from it to the other table.
    pub junction: Option<Junction>,
    /// The foreign key's name.
    pub constraint: String,
}

/// The table in the middle of a many-to-many relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Junction {
    /// Its position in [`Schema::tables`](super::Schema).
    pub table: usize,
    /// Pairs of column positions: in the junction, and in the table at the other end.
    pub columns: Vec<(usize, usize)>,
}

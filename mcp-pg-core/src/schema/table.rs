//! Tables, views and everything else that has rows.

use serde::Serialize;

use super::{Check, Column, Directive, ForeignKey, Index, Key};
use crate::name::TableName;

/// A table, view, materialised view, foreign table or partitioned table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The schema and the name.
    pub name: TableName,
    /// `pg_class.oid`.
    pub oid: u32,
    /// The kind.
    pub kind: TableKind,
    /// The COMMENT, shortened and without control characters. It is text that others wrote.
    pub comment: Option<String>,
    /// The owner.
    pub owner: String,
    /// Directives from its comments that [`Schema::obeying`](super::Schema::obeying) has not yet handled.
    pub directives: Vec<Directive>,
    /// The planner's estimate of the number of rows; `None` if the table was never analysed.
    pub estimated_rows: Option<u64>,
    /// Whether it belongs to an extension. Roles see it only if a grant names it.
    pub of_extension: bool,
    /// Whether a trigger may fill in columns that an insert leaves out.
    pub fills_rows: bool,
    /// Whether a trigger may set columns of a row before it is updated.
    pub fills_updates: bool,
    /// Whether other tables inherit from it. Their rows are read with its own, but its keys do not cover them.
    pub has_heirs: bool,
    /// The tables that it inherits from, at every level; the most distant first.
    pub ancestors: Vec<TableName>,
    /// The columns in order. Those that the login may not use at all are left out.
    pub columns: Vec<Column>,
    /// The primary key.
    pub primary_key: Option<Key>,
    /// Unique constraints and unique indexes on plain columns, without the primary key.
    pub unique_keys: Vec<Key>,
    /// Foreign keys from this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Keys that PostgreSQL does not enforce here: those of the tables beneath a view, as far as the view shows their
    /// columns, those of partitions, and declared relations.
    pub logical_keys: Vec<ForeignKey>,
    /// Check constraints.
    pub checks: Vec<Check>,
    /// Indexes, including those of constraints.
    pub indexes: Vec<Index>,
    /// Row-level security.
    pub row_security: RowSecurity,
    /// What the login may do.
    pub privileges: Privileges,
}

/// The kind of a [`Table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// An ordinary table.
    Table,
    /// A view.
    View,
    /// A materialised view.
    MaterializedView,
    /// A foreign table.
    ForeignTable,
    /// A partitioned table. Its partitions are not listed.
    PartitionedTable,
}

/// Whether row-level security applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RowSecurity {
    /// It is enabled on the table.
    pub enabled: bool,
    /// It applies to the owner, too: FORCE ROW LEVEL SECURITY.
    pub forced: bool,
    /// The login bypasses it: it is a superuser, has BYPASSRLS, or is the owner and it is not forced.
    pub bypassed: bool,
}

impl RowSecurity {
    /// Whether policies may hide rows from the login.
    pub fn applies(self) -> bool {
        self.enabled && !self.bypassed
    }
}

/// What the login may do with a table: its privileges, as far as the table's kind allows.
///
/// A privilege on some columns counts; which columns, is told by their `can_…` fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Privileges {
    /// Read rows.
    pub select: bool,
    /// Read whole rows, including PostgreSQL's system columns, which a grant on some columns does not cover.
    pub select_whole: bool,
    /// Add rows.
    pub insert: bool,
    /// Update rows.
    pub update: bool,
    /// Delete rows.
    pub delete: bool,
    /// Whether the login is the owner or a member of it.
    pub owner: bool,
}

impl Table {
    /// The same without the rights to write.
    pub fn without_writes(&self) -> Self {
        let (insert, update, delete) = (false, false, false);
        Self {
            privileges: Privileges { insert, update, delete, ..self.privileges },
            ..self.clone()
        }
    }

    /// The position and definition of a column by its exact name.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name == name)
    }

    /// Whether its rows are in several tables: partitions, or those that inherit from it.
    pub(crate) fn is_spread(&self) -> bool {
        self.has_heirs || self.kind == TableKind::PartitionedTable
    }

    /// The keys that are unique among all rows read from the table, the primary key first. None if other tables
    /// inherit from it.
    pub(crate) fn row_keys(&self) -> impl Iterator<Item = &Key> {
        self.keys().filter(|_| !self.has_heirs)
    }

    /// The keys that are unique among the table's own rows, the primary key first. New rows are checked against all
    /// of them.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.primary_key.iter().chain(&self.unique_keys)
    }

    /// Whether rows are told apart by the column at this position: it is a part of a key, or the database gives each row a
    /// number or a random UUID there.
    pub(crate) fn tells_apart(&self, position: usize) -> bool {
        let column = &self.columns[position];
        let in_key = self.keys().any(|key| key.columns.contains(&position));
        // The default of a view's column is that of its table, which may be a number.
        let unknown = column.origin.as_ref().is_some_and(|origin| origin.defaulted);
        let numbered = column.is_numbered() || unknown && column.data_type.base().is_number();
        in_key || column.generated.is_none() && (numbered || column.is_random())
    }

    /// Whether an insert that gives the column at this position no value gets one by which rows are told apart, and which
    /// another insert may be given. It is one that only sequences, the time and chance lead to: what functions
    /// of the database or triggers make may have effects of its own, and nothing is known of the defaults beneath a view.
    pub(crate) fn generates(&self, position: usize) -> bool {
        let column = &self.columns[position];
        let plain = column.has_plain_default();
        column.origin.is_none()
            && column.generated.is_none()
            && (column.is_numbered() || column.is_random() || plain && self.tells_apart(position))
    }

    /// Whether no other table or view is known to show rows of this one.
    pub(crate) fn is_apart(&self) -> bool {
        self.kind == TableKind::Table && !self.has_heirs
    }

    /// Whether the table has a key, check or index with this name.
    pub(crate) fn has_rule(&self, name: &str) -> bool {
        let keys = self.keys().map(|key| &key.name);
        let foreign = self.foreign_keys.iter().map(|key| &key.name);
        let checks = self.checks.iter().map(|check| &check.name);
        let indexes = self.indexes.iter().map(|index| &index.name);
        keys.chain(foreign).chain(checks).chain(indexes).any(|known| known == name)
    }

    /// Whether rows have the system columns `xmin` and `xmax`, and the login may read them.
    pub(crate) fn has_system_columns(&self) -> bool {
        self.privileges.select_whole
            && matches!(
                self.kind,
                TableKind::Table | TableKind::PartitionedTable | TableKind::MaterializedView
            )
    }
}

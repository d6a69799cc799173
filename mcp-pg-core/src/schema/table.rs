//! Tables, and everything else that has rows.

use serde::Serialize;

use super::{Check, Column, Directive, ForeignKey, Index, Key};
use crate::name::TableName;

/// A table, view, materialised view, foreign table or partitioned table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Schema and name.
    pub name: TableName,
    /// `pg_class.oid`.
    pub oid: u32,
    /// What it is.
    pub kind: TableKind,
    /// The COMMENT, bounded and without control characters: other people's text.
    pub comment: Option<String>,
    /// The role that owns it.
    pub owner: String,
    /// Directives in its comments, until [`Schema::obeying`](super::Schema::obeying) has looked at them.
    pub directives: Vec<Directive>,
    /// The planner's estimate of the rows; `None` if never analysed.
    pub estimated_rows: Option<u64>,
    /// Whether a trigger may fill what an inserted row leaves out.
    pub fills_rows: bool,
    /// Whether rows of tables that inherit from it are read with its own: its keys are unique among its own alone.
    pub has_heirs: bool,
    /// The tables that it inherits from, however far up; the furthest first.
    pub ancestors: Vec<TableName>,
    /// The columns, in their order; only those that the login may use in some way.
    pub columns: Vec<Column>,
    /// The primary key, where there is one.
    pub primary_key: Option<Key>,
    /// Unique constraints and plain unique indexes, without the primary key.
    pub unique_keys: Vec<Key>,
    /// Foreign keys from this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Keys that PostgreSQL does not enforce here: those of the tables beneath a view, as far as its columns
    /// show them, those of partitions, and the declared ones.
    pub logical_keys: Vec<ForeignKey>,
    /// Check constraints.
    pub checks: Vec<Check>,
    /// Indexes, those of constraints too.
    pub indexes: Vec<Index>,
    /// Row-level security.
    pub row_security: RowSecurity,
    /// What the login may do, and PostgreSQL can.
    pub privileges: Privileges,
}

/// What a [`Table`] is.
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
    /// A partitioned table; its partitions are not listed.
    PartitionedTable,
}

/// Whether row-level security applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RowSecurity {
    /// Enabled on the table.
    pub enabled: bool,
    /// Applies to the table's owner too.
    pub forced: bool,
    /// The login escapes it: superuser, BYPASSRLS, or the owner while it is not forced.
    pub bypassed: bool,
}

impl RowSecurity {
    /// Whether policies hide rows of the table.
    pub fn applies(self) -> bool {
        self.enabled && !self.bypassed
    }
}

/// What the login may do with a table: its grants, and what the table's kind allows.
///
/// A privilege on some columns counts; the columns say which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Privileges {
    /// Read rows.
    pub select: bool,
    /// Read whole rows, and with them PostgreSQL's system columns: a grant on some columns covers none of those.
    pub select_whole: bool,
    /// Add rows.
    pub insert: bool,
    /// Change rows.
    pub update: bool,
    /// Remove rows.
    pub delete: bool,
    /// The login is, or is a member of, the owner.
    pub owner: bool,
}

impl Table {
    /// The same where nothing can be written.
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

    /// The keys that tell the rows apart which are read from it, the primary one first: none if tables inherit from
    /// it. New rows are its own, and meet all keys.
    pub(crate) fn row_keys(&self) -> impl Iterator<Item = &Key> {
        self.keys().filter(|_| !self.has_heirs)
    }

    /// The keys that tell its own rows apart, the primary one first.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.primary_key.iter().chain(&self.unique_keys)
    }

    /// Whether PostgreSQL itself makes the values of the column at a position for new rows, another one each time: numbers,
    /// random ones, the primary key where it has a default or is a number or UUID (which a trigger may give), and what is
    /// generated from those.
    pub fn makes(&self, position: usize) -> bool {
        let column = &self.columns[position];
        const UUID: u32 = 2950;
        let base = column.data_type.base();
        let is_given = column.default.is_some() || base.is_number() || base.oid == UUID;
        let is_key = is_given && self.keys().next().is_some_and(|key| key.columns == [position]);
        let refers = self.foreign_keys.iter().any(|key| key.columns.contains(&position));
        let by_number = |number: &i16| self.columns.iter().position(|of| of.number == *number);
        let mut parts = column.generated_from.iter().filter_map(by_number);
        is_key && !refers
            || column.is_numbered()
            || column.is_random()
            || parts.any(|part| part != position && self.makes(part))
    }

    /// Whether a key, check or index of this name is among the table's.
    pub(crate) fn has_rule(&self, name: &str) -> bool {
        let keys = self.keys().map(|key| &key.name);
        let foreign = self.foreign_keys.iter().map(|key| &key.name);
        let checks = self.checks.iter().map(|check| &check.name);
        let indexes = self.indexes.iter().map(|index| &index.name);
        keys.chain(foreign).chain(checks).chain(indexes).any(|known| known == name)
    }

    /// Whether rows carry PostgreSQL's system columns (`xmin`, `xmax`), and the login may read them.
    pub(crate) fn has_system_columns(&self) -> bool {
        self.privileges.select_whole
            && matches!(
                self.kind,
                TableKind::Table | TableKind::PartitionedTable | TableKind::MaterializedView
            )
    }
}

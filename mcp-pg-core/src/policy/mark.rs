//! Marks of columns: whether their values are sensitive or untrusted.

use super::grant::fits;
use crate::name::TableName;
use crate::schema::{Column, Schema};

/// The marks of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// The audit log redacts the values unless it keeps all values, and records that they were read.
    pub sensitive: bool,
    /// The values were written by outsiders. Replies label them.
    pub untrusted: bool,
}

impl Marks {
    /// The marks of values that are computed from columns with either.
    pub fn union(self, other: Self) -> Self {
        Self {
            sensitive: self.sensitive || other.sensitive,
            untrusted: self.untrusted || other.untrusted,
        }
    }
}

/// Which columns are marked: patterns of `schema.table.column`, where `*` matches any characters.
///
/// ```
/// use mcp_pg_core::policy::ColumnMarks;
/// use mcp_pg_core::TableName;
///
/// let marks = ColumnMarks { sensitive: vec!["*.*.email".into()], ..ColumnMarks::default() };
/// assert!(marks.of(&TableName::new("public", "users"), "email").sensitive);
/// assert!(!marks.of(&TableName::new("public", "users"), "name").sensitive);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnMarks {
    /// Columns with personal or confidential values.
    pub sensitive: Vec<String>,
    /// Columns with values that outsiders wrote.
    pub untrusted: Vec<String>,
}

impl ColumnMarks {
    /// The marks of a column of the table.
    pub fn of(&self, table: &TableName, column: &str) -> Marks {
        if self.sensitive.is_empty() && self.untrusted.is_empty() {
            return Marks::default();
        }
        let name = format!("{table}.{column}");
        let marked = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, &name));
        Marks { sensitive: marked(&self.sensitive), untrusted: marked(&self.untrusted) }
    }

    /// The marks of a column, also those in its comment.
    pub(super) fn of_column(&self, table: &TableName, column: &Column) -> Marks {
        let hints = &column.hints;
        let hinted = Marks { sensitive: hints.sensitive, untrusted: hints.untrusted };
        self.of(table, &column.name).union(hinted)
    }

    /// The marked columns of the schema.
    pub(super) fn within<'s>(
        &self,
        schema: &'s Schema,
    ) -> impl Iterator<Item = ((&'s TableName, &'s str), Marks)> {
        let columns = schema
            .tables
            .iter()
            .flat_map(|table| table.columns.iter().map(move |column| (&table.name, column)));
        let marked =
            columns.map(|(table, column)| ((table, &*column.name), self.of_column(table, column)));
        marked.filter(|(_, marks)| *marks != Marks::default())
    }
}

//! Marks of columns: whether their values are sensitive or untrusted.

use super::grant::fits;
use crate::name::TableName;
use crate::schema::{Column, Schema};

/// The marks of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// The audit keeps the values only where it keeps all, and says that they were read.
    pub sensitive: bool,
    /// Outsiders wrote the values: replies say so.
    pub untrusted: bool,
}

impl Marks {
    /// What is to be known of values that are made from both.
    pub fn union(self, other: Self) -> Self {
        Self {
            sensitive: self.sensitive || other.sensitive,
            untrusted: self.untrusted || other.untrusted,
        }
    }
}

/// Which columns are marked: patterns of `schema.table.column`, where `*` stands for any run of characters.
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
    /// Columns whose values are somebody's own affair.
    pub sensitive: Vec<String>,
    /// Columns that hold what outsiders wrote.
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

    /// The same of one that a comment may mark, too.
    pub(super) fn of_column(&self, table: &TableName, column: &Column) -> Marks {
        let hints = &column.hints;
        let hinted = Marks { sensitive: hints.sensitive, untrusted: hints.untrusted };
        self.of(table, &column.name).union(hinted)
    }

    /// All columns of the schema that are marked.
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

//! The column that counts the changes of a row.

use super::Concurrency;
use crate::schema::{Column, Table};

/// The default name of version columns.
const USUAL: &str = "version";

impl Concurrency {
    /// The column in which the server counts the changes of a table's rows; a view may show it under another name. `None` if
    /// the column is missing or unsuitable: then the row's system version (`xmin`) is used.
    pub fn counts_in<'t>(&self, table: &'t Table) -> Option<&'t Column> {
        let name = self.version_column.as_deref().unwrap_or(USUAL);
        let shows =
            |column: &&Column| column.origin.as_ref().is_some_and(|origin| origin.column == name);
        let named = table.column(name).map(|(_, column)| column);
        let column = named.or_else(|| table.columns.iter().find(shows))?;
        // Unless the configuration names the column, it is a counter only if every new row has a value in it.
        let begins = self.version_column.is_some() || begins(column);
        // The count is read to be raised.
        let counted = match column.can_update {
            true => column.can_select,
            false => !table.has_system_columns(),
        };
        (begins && counts(column) && counted && !is_in_key(table, column)).then_some(column)
    }
}

/// Whether each new row has a value in the column.
fn begins(column: &Column) -> bool {
    let defaulted = column.origin.as_ref().is_some_and(|origin| origin.defaulted);
    !column.nullable || !column.may_be_null || column.default.is_some() || defaulted
}

/// Whether the column can count changes: a whole number, or a timestamp.
fn counts(column: &Column) -> bool {
    let scale = column.type_name.rsplit_once(',').map(|(_, scale)| scale);
    let whole = column.data_type.is_exact() && scale.is_none_or(|scale| scale == "0)");
    (whole || column.data_type.is_timestamp()) && !column.read_only()
}

/// Whether the column is part of a key or foreign key: then it is not a counter.
fn is_in_key(table: &Table, column: &Column) -> bool {
    let keys = table.keys().map(|key| &key.columns);
    let references = table.foreign_keys.iter().chain(&table.logical_keys).map(|key| &key.columns);
    let unique = table.indexes.iter().filter(|index| index.unique).map(|index| &index.mentions);
    let mut positions = keys.chain(references).chain(unique).flatten();
    positions.any(|position| table.columns[*position].name == column.name)
}

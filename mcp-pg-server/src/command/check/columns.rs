//! Notes on columns that may be served in an unexpected way.

use mcp_pg_core::Settings;
use mcp_pg_core::schema::{Schema, TableKind};

use crate::command::posture::some_of;

/// The columns of views that show an encrypted column.
pub(super) fn shown_encrypted(settings: &Settings, schema: &Schema) -> Vec<String> {
    let columns =
        schema.tables.iter().flat_map(|table| table.columns.iter().map(move |c| (table, c)));
    let shown = columns.filter(|(table, column)| {
        column.origin.is_some() && settings.encryption.names(table, column)
    });
    shown.map(|(table, column)| format!("{}.{}", table.name, column.name)).collect()
}

/// The columns that inserts must give, because the login may not use the sequence of their default.
pub(super) fn without_sequence(schema: &Schema) -> impl Iterator<Item = String> {
    let tables = schema.tables.iter().filter(|table| table.privileges.insert);
    let columns = tables.flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    let refused = columns.filter(|(_, column)| column.default_refused && column.can_insert);
    refused.map(|(table, column)| {
        format!(
            "inserts must give {}.{}: the login may not use the sequence of its default: GRANT USAGE ON SEQUENCE",
            table.name, column.name
        )
    })
}

/// The columns because of which a role can insert no rows into a table, although its grants allow it.
pub(super) fn lacking(settings: &Settings, schema: &Schema) -> impl Iterator<Item = String> {
    settings.roles.iter().flat_map(move |role| {
        schema.tables.iter().filter_map(move |table| {
            let (position, column) = role.lacks(table, settings)?;
            Some(format!(
                "roles.{}.grants[{position}]: inserts into {} are impossible, and not offered: {} does not accept null, has no default, and the role may not write it",
                role.name, table.name, column.name
            ))
        })
    })
}

/// The note that no table has the configured version column, whose name may be misspelt.
pub(super) fn uncounted(settings: &Settings, schema: &Schema) -> Option<String> {
    let name = settings.concurrency.version_column.as_ref().filter(|name| !name.is_empty())?;
    let absent = schema.tables.iter().all(|table| table.column(name).is_none());
    (absent && !schema.tables.is_empty()).then(|| {
        format!(
            "concurrency.version_column: no table that the login sees has a column {name:?}; versions are those of PostgreSQL's rows"
        )
    })
}

/// The version columns that were found by default, which may have another meaning.
pub(in crate::command) fn counted(settings: &Settings, schema: &Schema) -> Option<String> {
    let unsaid = settings.concurrency.version_column.is_none();
    let tables = schema.tables.iter().filter(|table| unsaid && table.kind != TableKind::View);
    let columns = tables.filter_map(|table| {
        Some(format!("{}.{}", table.name, settings.concurrency.counts_in(table)?.name))
    });
    let columns: Vec<String> = columns.collect();
    (!columns.is_empty()).then(|| {
        format!(
            "each update increments or timestamps {}: set concurrency.version_column to it, or to \"\" if the column means something else",
            some_of(&columns)
        )
    })
}

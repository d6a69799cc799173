//! Notes on columns that may be served in an unexpected way.

use std::collections::BTreeSet;
use std::sync::Arc;

use mcp_pg_core::schema::{Schema, Table, TableKind};
use mcp_pg_core::{Engine, Settings};

use crate::command::posture::some_of;

/// The columns of views that show an encrypted column.
pub(super) fn shown_encrypted(settings: &Settings, seen: &[Arc<Schema>]) -> BTreeSet<String> {
    let columns = tables(seen).flat_map(|table| table.columns.iter().map(move |c| (table, c)));
    let shown = columns.filter(|(table, column)| {
        column.origin.is_some() && settings.encryption.names(table, column)
    });
    shown.map(|(table, column)| format!("{}.{}", table.name, column.name)).collect()
}

fn tables(seen: &[Arc<Schema>]) -> impl Iterator<Item = &Table> {
    seen.iter().flat_map(|schema| &schema.tables)
}

/// The columns that inserts must give, because the role's database role may not use the sequence of their default.
pub(super) fn without_sequence(
    engine: &Engine,
    settings: &Settings,
    login: &str,
) -> BTreeSet<String> {
    let mut notes = BTreeSet::new();
    for role in &settings.roles {
        let grantee = role.database_role.as_deref().unwrap_or(login);
        let schema = engine.schema_of(role);
        for table in schema.tables.iter().filter(|table| table.privileges.insert) {
            let columns = table.columns.iter();
            let refused = columns.filter(|column| column.default_refused && column.can_insert);
            notes.extend(refused.map(|column| {
                format!(
                    "inserts must give {}.{}: {grantee} may not use the sequence of its default: GRANT USAGE ON SEQUENCE",
                    table.name, column.name
                )
            }));
        }
    }
    notes
}

/// The columns because of which a role can insert no rows into a table, although its grants allow it.
pub(super) fn lacking(engine: &Engine, settings: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    for role in &settings.roles {
        let schema = engine.schema_of(role);
        notes.extend(schema.tables.iter().filter_map(|table| {
            let (position, column) = role.lacks(table, settings)?;
            Some(format!(
                "roles.{}.grants[{position}]: inserts into {} are impossible, and not offered: {} does not accept null, has no default, and the role may not write it",
                role.name, table.name, column.name
            ))
        }));
    }
    notes
}

/// The note that no table has the configured version column, whose name may be misspelt.
pub(super) fn uncounted(settings: &Settings, seen: &[Arc<Schema>]) -> Option<String> {
    let name = settings.concurrency.version_column.as_ref().filter(|name| !name.is_empty())?;
    let mut tables = tables(seen).peekable();
    let absent = tables.peek().is_some() && tables.all(|table| table.column(name).is_none());
    absent.then(|| {
        format!(
            "concurrency.version_column: no table that a role sees has a column {name:?}; versions are those of PostgreSQL's rows"
        )
    })
}

/// The version columns that were found by default, which may have another meaning.
pub(in crate::command) fn counted(settings: &Settings, seen: &[Arc<Schema>]) -> Option<String> {
    let unsaid = settings.concurrency.version_column.is_none();
    let tables = tables(seen).filter(|table| unsaid && table.kind != TableKind::View);
    let columns = tables.filter_map(|table| {
        Some(format!("{}.{}", table.name, settings.concurrency.counts_in(table)?.name))
    });
    let columns = Vec::from_iter(BTreeSet::from_iter(columns));
    (!columns.is_empty()).then(|| {
        format!(
            "each update increments or timestamps {}: set concurrency.version_column to it, or to \"\" if the column means something else",
            some_of(&columns)
        )
    })
}

//! Tables and columns in grants that do not exist or cannot be written.

use crate::name::nearest;
use crate::policy::{Grant, Role, Settings};
use crate::schema::{Schema, Table};

/// The findings on the tables and columns that the grants of a role name.
pub(super) fn of_names(role: &Role, schema: &Schema) -> Vec<String> {
    let mut findings = Vec::new();
    let name = &role.name;
    for (position, grant) in role.grants.iter().enumerate() {
        let place = format!("roles.{name}.grants[{position}]");
        let tables: Vec<&Table> =
            schema.tables.iter().filter(|table| grant.matches(&table.name)).collect();
        for pattern in &grant.tables {
            let alone = Grant { tables: vec![pattern.clone()], ..Grant::default() };
            if !tables.iter().any(|table| alone.matches(&table.name)) {
                findings
                    .push(format!("{place}: {pattern} matches no table{}", meant(pattern, schema)));
            }
        }
        if tables.is_empty() {
            continue;
        }
        let rules = &grant.columns;
        let columns = (rules.include.iter().flatten().map(|column| ("columns.include", column)))
            .chain(rules.exclude.iter().map(|column| ("columns.exclude", column)))
            .chain(rules.writable.iter().flatten().map(|column| ("columns.writable", column)))
            .chain(rules.mask.keys().map(|column| ("columns.mask", column)))
            .chain(rules.decrypt.iter().map(|column| ("columns.decrypt", column)))
            .chain(grant.preset.keys().map(|column| ("preset", column)));
        for (key, column) in columns {
            if tables.iter().any(|table| table.column(column).is_some()) {
                continue;
            }
            let known = tables.iter().flat_map(|table| &table.columns).map(|c| c.name.as_str());
            let hint = nearest(column, known)
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            findings.push(format!("{place}.{key}: no such table has a column {column:?}{hint}"));
        }
    }
    findings
}

/// The table that a pattern without a schema may mean, if the table's name contains a dot.
fn meant(pattern: &str, schema: &Schema) -> String {
    let named = schema.tables.iter().find(|table| table.name.name == pattern);
    named.map(|table| format!("; did you mean {}?", table.name)).unwrap_or_default()
}

/// Columns that the role's grants list as writable, but that cannot be written in any table.
pub(super) fn written_in_vain(role: &Role, settings: &Settings, schema: &Schema) -> Vec<String> {
    let mut findings = Vec::new();
    for (position, grant) in role.grants.iter().enumerate() {
        for column in grant.columns.writable.iter().flatten() {
            let tables = schema.tables.iter().filter(|table| grant.matches(&table.name));
            let answers = tables.filter_map(|table| {
                Some((table, role.may_write(position, column, table, settings)?))
            });
            let barred: Result<Vec<_>, ()> = answers
                .map(|(table, answer)| answer.err().map(|why| (table, why)).ok_or(()))
                .collect();
            if let Some((table, why)) = barred.iter().flatten().next() {
                findings.push(format!(
                    "roles.{}.grants[{position}].columns.writable: {}.{column} cannot be written: {why}",
                    role.name, table.name
                ));
            }
        }
    }
    findings
}

/// Columns that the role's grants list as decrypted, but that are encrypted in no table.
pub(super) fn decrypted_in_vain(role: &Role, settings: &Settings, schema: &Schema) -> Vec<String> {
    let mut findings = Vec::new();
    for (position, grant) in role.grants.iter().enumerate() {
        for name in &grant.columns.decrypt {
            let tables = schema.tables.iter().filter(|table| grant.matches(&table.name));
            let mut columns = tables
                .filter_map(|table| table.column(name).map(|(_, column)| (table, column)))
                .peekable();
            // That there is no such column is another finding.
            if columns.peek().is_some()
                && !columns.any(|(table, column)| settings.encryption.names(table, column))
            {
                findings.push(format!(
                    "roles.{}.grants[{position}].columns.decrypt: {name:?} is encrypted in no such table: encryption.columns \
                     does not name it",
                    role.name
                ));
            }
        }
    }
    findings
}

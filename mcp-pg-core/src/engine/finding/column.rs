//! Settings and comments about columns and relations that do not fit the database.

use crate::policy::{ColumnMarks, Settings};
use crate::schema::{Column, Schema, Table};

/// The findings on `[columns]`, `[encryption]`, `[comments]`, `[[relations]]` and directives.
pub(super) fn of_columns(settings: &Settings, schemas: &[&Schema]) -> Vec<String> {
    let tables = || schemas.iter().flat_map(|schema| &schema.tables);
    let mut findings = Vec::new();
    let marks = &settings.columns;
    for (key, patterns) in [("sensitive", &marks.sensitive), ("untrusted", &marks.untrusted)] {
        for pattern in patterns {
            let alone = ColumnMarks { sensitive: vec![pattern.clone()], ..ColumnMarks::default() };
            let fits = tables().any(|table| {
                table.columns.iter().any(|column| alone.of(&table.name, &column.name).sensitive)
            });
            if !fits {
                findings.push(format!("columns.{key}: {pattern:?} matches no column"));
            }
        }
    }
    let encryption = &settings.encryption;
    for name in &encryption.columns {
        let full = |table: &Table, column: &Column| format!("{}.{}", table.name, column.name);
        let named = |table: &Table| table.columns.iter().any(|column| full(table, column) == *name);
        if !tables().any(named) {
            let of_table = |table: &Table| name.starts_with(&format!("{}.", table.name));
            let what = match tables().any(of_table) {
                true => format!("there is no column {name}"),
                false => {
                    format!("there is no table of {name}; under another name, it is not encrypted")
                }
            };
            findings.push(format!("encryption.columns: {what}"));
        }
    }
    for table in tables() {
        // The columns of a view are not written.
        let columns = table.columns.iter().filter(|column| column.origin.is_none());
        let encrypted = columns.filter(|column| encryption.names(table, column));
        let refused = encrypted.filter_map(|column| encryption.check(table, column).err());
        findings.extend(refused.map(|reason| format!("encryption.columns: {reason}")));
    }
    for owner in &settings.comments.owners {
        if !tables().any(|table| &table.owner == owner) {
            findings
                .push(format!("comments.owners: {owner} owns no table of the configured schemas"));
        }
    }
    // A database role may see less than the login, so only the login's faults count, unless the login sees nothing.
    if let Some(schema) = schemas.iter().find(|schema| !schema.tables.is_empty()) {
        findings.extend((*schema).clone().declaring(&settings.relations).1);
        findings.extend(schema.directives.faults.iter().cloned());
    }
    findings
}

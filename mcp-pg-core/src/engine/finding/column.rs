//! Settings and comments about columns and relations that do not fit the database.

use crate::policy::{ColumnMarks, Settings};
use crate::schema::{Column, Schema};

/// The findings on `[columns]`, `[encryption]`, `[comments]`, `[[relations]]` and directives.
pub(super) fn of_columns(settings: &Settings, schema: &Schema) -> Vec<String> {
    let mut findings = Vec::new();
    let marks = &settings.columns;
    for (key, patterns) in [("sensitive", &marks.sensitive), ("untrusted", &marks.untrusted)] {
        for pattern in patterns {
            let alone = ColumnMarks { sensitive: vec![pattern.clone()], ..ColumnMarks::default() };
            let fits = schema.tables.iter().any(|table| {
                table.columns.iter().any(|column| alone.of(&table.name, &column.name).sensitive)
            });
            if !fits {
                findings.push(format!("columns.{key}: {pattern:?} matches no column"));
            }
        }
    }
    let encryption = &settings.encryption;
    for name in &encryption.columns {
        let found = schema.tables.iter().find_map(|table| {
            let full = |column: &&Column| format!("{}.{}", table.name, column.name) == *name;
            Some((table, table.columns.iter().find(full)?))
        });
        match found.map(|(table, column)| encryption.check(table, column)) {
            None => findings.push(format!("encryption.columns: there is no column {name}")),
            Some(Err(reason)) => findings.push(format!("encryption.columns: {reason}")),
            Some(Ok(())) => {}
        }
    }
    for owner in &settings.comments.owners {
        if !schema.tables.iter().any(|table| &table.owner == owner) {
            findings
                .push(format!("comments.owners: {owner} owns no table of the configured schemas"));
        }
    }
    findings.extend(schema.clone().declaring(&settings.relations).1);
    findings.extend(schema.directives.faults.iter().cloned());
    findings
}

//! What the configuration and comments say of columns and relations, and is not so.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::ColumnMarks;
use mcp_pg_core::schema::{Column, Schema};

/// The columns of views that show an encrypted one.
pub(super) fn shown_encrypted(settings: &Settings, schema: &Schema) -> Vec<String> {
    let columns =
        schema.tables.iter().flat_map(|table| table.columns.iter().map(move |c| (table, c)));
    let shown = columns.filter(|(table, column)| {
        column.origin.is_some() && settings.encryption.names(&table.name, column)
    });
    shown.map(|(table, column)| format!("{}.{}", table.name, column.name)).collect()
}

/// The columns that inserts have to give, since the login may not take numbers from their default's sequence.
pub(super) fn without_sequence(schema: &Schema) -> impl Iterator<Item = String> {
    let tables = schema.tables.iter().filter(|table| table.privileges.insert);
    let columns = tables.flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    let refused = columns.filter(|(_, column)| column.default_refused && column.can_insert);
    refused.map(|(table, column)| {
        format!(
            "inserts have to give {}.{}: the login may take no number from the sequence of its default: GRANT USAGE ON SEQUENCE",
            table.name, column.name
        )
    })
}

/// The columns for want of which a role can add no row to a table, though it is granted to.
pub(super) fn lacking(settings: &Settings, schema: &Schema) -> impl Iterator<Item = String> {
    settings.roles.iter().flat_map(move |role| {
        schema.tables.iter().filter_map(move |table| {
            let (position, column) = role.lacks(table, settings)?;
            Some(format!(
                "roles.{}.grants[{position}]: nobody can insert into {}, and it is not offered: {} takes no null, has no \
                 default, and the role may not write it",
                role.name, table.name, column.name
            ))
        })
    })
}

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

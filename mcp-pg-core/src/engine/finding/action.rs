//! Granted actions that no call can do, and archive and version columns that no table has.

use crate::policy::{Action, Archive, Role, Settings};
use crate::schema::{Schema, Table};

/// The findings on the actions of a role's grants.
pub(super) fn in_vain(role: &Role, settings: &Settings, schema: &Schema) -> Vec<String> {
    let mut findings = Vec::new();
    for (position, grant) in role.grants.iter().enumerate() {
        let tables = || schema.tables.iter().filter(|table| grant.matches(&table.name));
        if tables().next().is_none() {
            continue;
        }
        for action in grant.actions.iter() {
            let reason = match action {
                Action::Delete if !settings.archive.allow_hard_delete => {
                    Some("archive.allow_hard_delete is false".to_owned())
                }
                Action::Archive | Action::Restore if !tables().any(|t| archives(t, settings)) => {
                    Some(format!(
                        "no such table has a column {:?} that accepts a timestamp and null",
                        settings.archive.column
                    ))
                }
                _ => unread(role, action, tables()),
            };
            findings.extend(reason.map(|reason| {
                format!("roles.{}.grants[{position}].actions: {action}: {reason}", role.name)
            }));
        }
    }
    findings
}

fn archives(table: &Table, settings: &Settings) -> bool {
    let column = table.column(&settings.archive.column);
    column.is_some_and(|(_, column)| column.data_type.has_day() && column.nullable)
}

/// Rows to write to are found by reading.
fn unread<'t>(
    role: &Role,
    action: Action,
    mut tables: impl Iterator<Item = &'t Table>,
) -> Option<String> {
    if matches!(action, Action::Select | Action::Insert) {
        return None;
    }
    let table = tables.find(|table| role.deciding(Action::Select, &table.name).is_none())?;
    Some(format!("it needs select on {}, which no grant gives", table.name))
}

/// The findings on `archive.column` and `concurrency.version_column`, where they are not the default.
pub(super) fn of_columns(settings: &Settings, schema: &Schema) -> impl Iterator<Item = String> {
    let archive = &settings.archive.column;
    let archive = Some(archive).filter(|archive| **archive != Archive::default().column);
    // The empty name means none.
    let version = settings.concurrency.version_column.as_ref().filter(|name| !name.is_empty());
    [("archive.column", archive), ("concurrency.version_column", version)]
        .into_iter()
        .filter_map(|(key, name)| Some((key, name?)))
        .filter_map(|(key, name)| {
            let mut tables = schema.tables.iter();
            if tables.all(|table| table.column(name).is_none()) {
                return Some(format!("{key}: no table has a column {name:?}"));
            }
            let unfit =
                key == "archive.column" && !schema.tables.iter().any(|t| archives(t, settings));
            unfit.then(|| format!("{key}: no column {name:?} is a nullable date or timestamp"))
        })
}

//! Granted actions that no call can perform, and an archive column that no table has.

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
                Action::Archive | Action::Restore
                    if !tables().any(|t| settings.archive.column_of(t).is_some()) =>
                {
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

/// Tables with granted writes that need to read rows, which are not granted.
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

/// The finding on `archive.column`, unless it is the default. `version.column` is not checked: tables without it use
/// PostgreSQL's row version.
pub(super) fn of_archive(settings: &Settings, schemas: &[&Schema]) -> Option<String> {
    let name = &settings.archive.column;
    if *name == Archive::default().column {
        return None;
    }
    let tables = || schemas.iter().flat_map(|schema| &schema.tables);
    if !tables().any(|table| table.column(name).is_some()) {
        return Some(format!("archive.column: no table has a column {name:?}"));
    }
    let archived = tables().any(|table| settings.archive.column_of(table).is_some());
    (!archived)
        .then(|| format!("archive.column: no column {name:?} is a nullable date or timestamp"))
}

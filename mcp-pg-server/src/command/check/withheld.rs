//! Notes on archive and version columns that a database role may not use.

use std::sync::Arc;

use mcp_pg_core::policy::{Action, Role, Settings, TableView, View};
use mcp_pg_core::schema::Table;
use mcp_pg_core::{Engine, Principal};

/// The notes on tables in which a role reads archived rows like others, or changes rows without incrementing the
/// version, because its database role may not use the column. What another role or the login sees tells that the
/// column exists.
pub(super) fn of_roles(engine: &Engine, settings: &Settings, login: &str) -> Vec<String> {
    let views = settings.roles.iter().filter_map(|role| {
        let view = engine.view(&Principal::new("check", &role.name)).ok()?;
        Some((role, view))
    });
    let views: Vec<(&Role, Arc<View>)> = views.collect();
    let schema = engine.schema();
    let mut notes = Vec::new();
    for (role, view) in &views {
        let grantee = role.database_role.as_deref().unwrap_or(login);
        for table in view.tables() {
            let name = table.name();
            let others: Vec<&TableView> =
                views.iter().filter_map(|(_, other)| other.named(name)).collect();
            let whole = schema.table(name);
            if let Some(column) = unread(table, &others, whole, settings) {
                notes.push(format!(
                    "roles.{}: archived rows of {name} are shown among the others, because {grantee} may not read {column}: \
                     GRANT SELECT ({column}) ON {name} TO {grantee}",
                    role.name
                ));
            }
            if let Some(column) = uncounted(table, &others, whole, settings) {
                notes.push(format!(
                    "roles.{}: changes to {name} are not counted in {column}, because {grantee} may not read and update it: \
                     GRANT SELECT ({column}), UPDATE ({column}) ON {name} TO {grantee}",
                    role.name
                ));
            }
        }
    }
    notes
}

/// The archive column of a table that the role reads without seeing it.
fn unread(
    table: &TableView,
    others: &[&TableView],
    whole: Option<&Table>,
    settings: &Settings,
) -> Option<String> {
    if table.archive.is_some() || !table.actions.contains(Action::Select) {
        return None;
    }
    let others = others.iter().map(|other| &other.table);
    let column = others.chain(whole).find_map(|table| settings.archive.column_of(table))?;
    Some(column.name.clone())
}

/// The version column of a table that the role changes without incrementing it.
fn uncounted(
    table: &TableView,
    others: &[&TableView],
    whole: Option<&Table>,
    settings: &Settings,
) -> Option<String> {
    let changes = [Action::Update, Action::Archive, Action::Restore];
    let counts = table.version.as_ref().is_some_and(|version| version.can_update);
    if counts || !changes.into_iter().any(|action| table.actions.contains(action)) {
        return None;
    }
    let mut readable = table.table.clone();
    for column in &mut readable.columns {
        column.can_select = true;
    }
    let versions = others.iter().filter_map(|other| other.version.as_ref());
    let tables = whole.into_iter().chain([&readable]);
    let mut versions =
        versions.chain(tables.filter_map(|table| settings.concurrency.counts_in(table)));
    Some(versions.find(|version| version.can_update)?.name.clone())
}

//! Grants that no call can use, because their row condition or preset does not fit the table, or because a column that is
//! to be encrypted is not there.

use std::collections::HashMap;

use super::{Action, Actions, Role, Settings};
use crate::name::{TableName, nearest};
use crate::schema::{Schema, Table};

/// The grants of a role that cannot be applied to a table, by position, and for which actions.
#[derive(Debug, Clone, Default)]
pub struct Unfit(HashMap<TableName, Vec<(usize, Actions)>>);

impl Unfit {
    /// Adds actions that the grant at a position cannot allow.
    pub(crate) fn bar(&mut self, grant: usize, table: &TableName, actions: Actions) {
        self.0.entry(table.clone()).or_default().push((grant, actions));
    }

    /// Bars tables with a column to be encrypted that they do not have: one that was renamed would be open under its new name,
    /// and written as it is. Returns what is not there, as sentences, also of columns that grants exclude, mask or preset: a list
    /// of these may be for several tables, so that they bar nothing.
    pub(crate) fn bar_without_columns(
        &mut self,
        role: &Role,
        schema: &Schema,
        settings: &Settings,
    ) -> Vec<String> {
        let mut faults = Vec::new();
        for (position, grant) in role.grants.iter().enumerate() {
            let tables = schema.tables.iter().filter(|table| grant.matches(&table.name));
            let tables: Vec<&Table> = tables.collect();
            let excluded = grant.columns.exclude.iter().map(|column| ("columns.exclude", column));
            let masked = grant.columns.mask.keys().map(|column| ("columns.mask", column));
            let preset = grant.preset.keys().map(|column| ("preset", column));
            for (key, column) in excluded.chain(masked).chain(preset) {
                // Without a privilege on the whole table, the column may be there.
                if !tables.iter().all(|table| lacks(table, column)) || tables.is_empty() {
                    continue;
                }
                let known = tables.iter().flat_map(|table| &table.columns);
                let near = nearest(column, known.map(|column| column.name.as_str()));
                let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
                faults.push(format!(
                    "roles.{}.grants[{position}].{key}: no such table has a column {column:?}{near}",
                    role.name
                ));
            }
        }
        for name in &settings.encryption.columns {
            let lacking = schema.tables.iter().find(|table| {
                let column = name.strip_prefix(&format!("{}.", table.name));
                column.is_some_and(|column| lacks(table, column))
            });
            let Some(lacking) = lacking else { continue };
            for table in schema.tables.iter().filter(|table| shows(table, &lacking.name)) {
                (0..role.grants.len()).for_each(|position| self.bar_all(position, table));
            }
            faults.push(format!(
                "encryption.columns: there is no column {name}; until there is, nothing of {} can be used",
                lacking.name
            ));
        }
        faults
    }

    fn bar_all(&mut self, grant: usize, table: &Table) {
        self.bar(grant, &table.name, Action::ALL.into_iter().collect());
    }

    pub(super) fn bars(&self, grant: usize, table: &TableName, action: Action) -> bool {
        let mut barred = self.0.get(table).into_iter().flatten();
        barred.any(|(position, actions)| *position == grant && actions.contains(action))
    }
}

/// Whether the table certainly has no such column: of one without any privilege, nothing is known.
fn lacks(table: &Table, column: &str) -> bool {
    table.privileges.select_whole && table.column(column).is_none()
}

/// Whether it is this table, inherits from it, or is a view with columns of it.
fn shows(table: &Table, name: &TableName) -> bool {
    let origins = table.columns.iter().filter_map(|column| column.origin.as_ref());
    table.name == *name
        || table.ancestors.contains(name)
        || origins.map(|origin| &origin.table).any(|origin| origin == name)
}

//! Grants that no call can use, because their row condition or preset does not fit the table.

use std::collections::HashMap;

use super::{Action, Actions};
use crate::name::TableName;

/// The grants of a role that cannot be applied to a table, by position, and for which actions.
#[derive(Debug, Clone, Default)]
pub struct Unfit(HashMap<TableName, Vec<(usize, Actions)>>);

impl Unfit {
    /// Adds actions that the grant at a position cannot allow.
    pub(crate) fn bar(&mut self, grant: usize, table: &TableName, actions: Actions) {
        self.0.entry(table.clone()).or_default().push((grant, actions));
    }

    pub(super) fn bars(&self, grant: usize, table: &TableName, action: Action) -> bool {
        let mut barred = self.0.get(table).into_iter().flatten();
        barred.any(|(position, actions)| *position == grant && actions.contains(action))
    }
}

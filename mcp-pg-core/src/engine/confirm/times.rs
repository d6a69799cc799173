//! Times that the operations of a transaction set, which differ in each run. A confirmation does not cover them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::engine::transaction::Operation;
use crate::name::TableName;
use crate::plan::{Assign, Plan};
use crate::policy::TableView;

/// The times, each with its table, column and JSON text.
#[derive(Debug, Default)]
pub(in crate::engine) struct Times(HashSet<(TableName, String, String)>);

impl Times {
    /// Adds those that an operation set in its `rows`, of which those at `met` existed before.
    pub(in crate::engine) fn add(
        &mut self,
        operation: &Operation<'_>,
        met: &[usize],
        rows: &[Map<String, Value>],
    ) {
        if !operation.writes() || operation.removes() {
            return;
        }
        let table = operation.table();
        let (mut set, mut present, mut defaults) = (HashSet::new(), HashSet::new(), HashSet::new());
        operation.plan.each_assigned(|column, assign| {
            let name = column.name.as_str();
            set.insert(name);
            match assign {
                Assign::Now | Assign::FromNow(_) | Assign::Period(_) => present.insert(name),
                Assign::Default | Assign::Again(_) => defaults.insert(name),
                _ => false,
            };
        });
        let adds = matches!(operation.plan, Plan::Insert(_));
        for (place, row) in rows.iter().enumerate() {
            let is_new = adds && !met.contains(&place);
            for (name, value) in row.iter().filter(|(_, value)| !value.is_null()) {
                let Some((_, column)) = table.table.column(name) else { continue };
                let name = name.as_str();
                // A time in an existing row is the operation's own only if it set it: others may have changed it.
                let by_default = match adds {
                    true => is_new && (!set.contains(name) || defaults.contains(name)),
                    false => defaults.contains(name),
                };
                if present.contains(name) || by_default && column.data_type.is_moment() {
                    self.0.insert((table.name().clone(), name.to_owned(), value.to_string()));
                }
            }
        }
    }

    /// Notes that a column gets a value of another table's column.
    pub(in crate::engine) fn pass_on(
        &mut self,
        (table, column): (&TableView, &str),
        (source, of): (&TableView, &str),
        value: &Value,
    ) {
        if self.has(source, of, &value.to_string()) {
            self.0.insert((table.name().clone(), column.to_owned(), value.to_string()));
        }
    }

    /// Whether an operation set this value, a JSON text, in a column.
    pub(in crate::engine) fn has(&self, table: &TableView, column: &str, text: &str) -> bool {
        self.0.contains(&(table.name().clone(), column.to_owned(), text.to_owned()))
    }
}

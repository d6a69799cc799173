//! Values that the database generated for new rows in the run that led to a question. The run that the user agreed to
//! gives them again, so that both do the same: PostgreSQL never returns the numbers of a sequence that a rolled-back
//! run took.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::affected::Affected;
use crate::engine::transaction::Operation;
use crate::plan::Plan;
use crate::schema::Identity;
use crate::value::encode;

/// The most values of a request that are given again.
const VALUES_MOST: usize = 1_000;

/// The most bytes of their JSON, which travels through the client.
const BYTES_MOST: usize = 16 << 10;

/// The values of an operation's rows, by column, in PostgreSQL's text form. `None` where the request gives a value, or
/// where it cannot be given again.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(in crate::engine) struct Generated(BTreeMap<String, Vec<Option<String>>>);

impl Generated {
    /// Keeps what the database generated for rows of an operation that have the `returned` columns, each with its
    /// index among the rows of the request.
    pub(in crate::engine) fn keep<'r>(
        &mut self,
        operation: &Operation<'_>,
        returned: &[usize],
        rows: impl Iterator<Item = (usize, &'r Vec<Value>)> + Clone,
    ) {
        let columns = &operation.table().table.columns;
        let places = returned.iter().enumerate();
        for (place, position) in places.filter(|(_, column)| is_repeatable(operation, **column)) {
            let column = &columns[*position];
            for (index, row) in rows.clone().filter(|(row, _)| operation.generates(*row, column)) {
                let value = row.get(place).unwrap_or(&Value::Null);
                let text = encode(&column.data_type, &column.type_name, value).ok().flatten();
                if text.is_some() {
                    let values = self.0.entry(column.name.clone()).or_default();
                    values.resize(index, None);
                    values.push(text);
                }
            }
        }
    }

    fn count(&self) -> usize {
        self.0.values().flatten().flatten().count()
    }
}

/// Whether a value that the database generates for the column at a position can be given again.
fn is_repeatable(operation: &Operation<'_>, position: usize) -> bool {
    let table = operation.table();
    let column = &table.table.columns[position];
    let is_shown =
        column.can_select && table.mask(position).is_none() && table.sealed(&column.name).is_none();
    let accepts = match &operation.plan {
        Plan::Insert(_) => column.insert_granted,
        Plan::Change(_) => column.identity != Some(Identity::Always),
        Plan::Select(_) => false,
    };
    is_shown && accepts && table.table.generates(position)
}

/// The generated values of all operations as JSON; none if there are too many.
pub(super) fn text(affected: &[Affected]) -> String {
    let generated: Vec<&Generated> = affected.iter().map(|affected| &affected.generated).collect();
    let count: usize = generated.iter().map(|generated| generated.count()).sum();
    if count == 0 || count > VALUES_MOST {
        return String::new();
    }
    let text = serde_json::to_string(&generated).unwrap_or_default();
    if text.len() > BYTES_MOST { String::new() } else { text }
}

/// Gives the operations the values of [`text`]; not those of sequences if code of the database `reads_last_numbers`: that
/// must find those of its own run.
pub(super) fn give_again(text: &str, operations: &mut [Operation<'_>], reads_last_numbers: bool) {
    let generated: Vec<Generated> = serde_json::from_str(text).unwrap_or_default();
    for (operation, Generated(columns)) in operations.iter_mut().zip(generated) {
        let table = operation.table();
        for (name, values) in columns {
            let Some((position, column)) = table.table.column(&name) else { continue };
            let is_read = reads_last_numbers && column.reads_sequence();
            if is_read || !is_repeatable(operation, position) {
                continue;
            }
            match &mut operation.plan {
                Plan::Insert(plan) => plan.generate_again(column, values),
                Plan::Change(plan) => {
                    let value = values.into_iter().next().flatten();
                    value.into_iter().for_each(|value| plan.generate_again(column, value));
                }
                Plan::Select(_) => {}
            }
        }
    }
}

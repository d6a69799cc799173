//! Notes on columns that are null after a write, although it computes them.

use serde_json::{Map, Value};

use crate::plan::{Assign, ChangePlan, Effect, Overwrite, Plan};
use crate::schema::Column;

/// The notes on the rows `after` a write.
pub(super) fn notes(plan: &Plan<'_>, after: &[Map<String, Value>]) -> Vec<String> {
    let null = |name: &str| after.iter().any(|row| row.get(name).is_some_and(Value::is_null));
    let taken = match plan {
        Plan::Change(plan) => taken(plan, &null),
        Plan::Insert(_) | Plan::Select(_) => None,
    };
    still(plan, &null).into_iter().chain(taken).collect()
}

/// The positions of the columns that have to be read after a write, to tell whether they are still null.
pub(in crate::engine) fn still_null(plan: &Plan<'_>) -> Vec<usize> {
    let (table, added) = (plan.table(), added(plan));
    let may_be = |position: &usize| {
        let column = &table.table.columns[*position];
        // Reading a sensitive column would have to be recorded.
        let open = column.may_be_null && !table.marks(*position).sensitive;
        open && added.iter().any(|(added, _)| added.name == column.name)
    };
    table.readable_columns().filter(may_be).collect()
}

/// The note on a column that is still null, because something was added to null.
fn still(plan: &Plan<'_>, null: &dyn Fn(&str) -> bool) -> Option<String> {
    let (column, what) = added(plan).into_iter().find(|(column, _)| null(&column.name))?;
    let name = &column.name;
    Some(match plan {
        Plan::Change(ChangePlan { effect: Effect::Set(_), .. }) => {
            format!("{name} was null, and stays so: $increment adds to {what}, so set it to one")
        }
        // Other rows may have been given null.
        _ => format!(
            "{name} stays null where it was null: $increment adds to {what}, so set it to one"
        ),
    })
}

/// The columns of existing rows to which something is added, and to what it can be.
fn added<'p>(plan: &'p Plan<'_>) -> Vec<(&'p Column, &'static str)> {
    let added = |assign: &Assign<'_>| match assign {
        Assign::Increment(_) => Some(A_NUMBER),
        Assign::Move(_) => Some(A_TIME),
        _ => None,
    };
    match plan {
        Plan::Select(_) => Vec::new(),
        Plan::Insert(plan) => {
            let set = plan.arbiter.iter().flat_map(|arbiter| &arbiter.set);
            let added = set.filter_map(|(column, overwrite)| match overwrite {
                Overwrite::Given => None,
                Overwrite::Added if column.data_type.base().is_interval() => {
                    Some((*column, A_TIME))
                }
                Overwrite::Added => Some((*column, A_NUMBER)),
                Overwrite::Assign(assign) => Some((*column, added(assign)?)),
            });
            added.collect()
        }
        Plan::Change(plan) => {
            let set = plan.effect.sets().flat_map(|(_, set)| set);
            set.filter_map(|(column, assign)| Some((*column, added(assign)?))).collect()
        }
    }
}

const A_NUMBER: &str = "a number";
const A_TIME: &str = "a time";

/// The note on a column that took null from a related row, which may be hidden.
fn taken(plan: &ChangePlan<'_>, null: &dyn Fn(&str) -> bool) -> Option<String> {
    plan.computed().into_iter().filter(|(column, _)| null(&column.name)).find_map(|(column, of)| {
        let from = of.columns().into_iter().find(|of| !of.hops.is_empty())?.path(plan.table);
        Some(format!(
            "{} is null where {from} is, or where the caller sees no such row",
            column.name
        ))
    })
}

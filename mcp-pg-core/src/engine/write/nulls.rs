//! Notes on columns that are null after a change, although it computes them.

use serde_json::{Map, Value};

use crate::plan::{Assign, ChangePlan, Effect};

/// The notes on the rows `after` a change.
pub(super) fn notes(plan: &ChangePlan<'_>, after: &[Map<String, Value>]) -> Vec<String> {
    let null = |name: &str| after.iter().any(|row| row.get(name).is_some_and(Value::is_null));
    still(plan, &null).into_iter().chain(taken(plan, &null)).collect()
}

/// The note on a column that is still null, because something was added to null.
fn still(plan: &ChangePlan<'_>, null: &dyn Fn(&str) -> bool) -> Option<String> {
    let Effect::Set(set) = &plan.effect else { return None };
    let added = |assign: &Assign<'_>| match assign {
        Assign::Increment(_) => Some("a number"),
        Assign::Move(_) => Some("a time"),
        _ => None,
    };
    let mut added = set.iter().filter_map(|(column, assign)| Some((column, added(assign)?)));
    let (column, what) = added.find(|(column, _)| null(&column.name))?;
    let name = &column.name;
    Some(format!("{name} was null, and stays so: $increment adds to {what}, so set it to one"))
}

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

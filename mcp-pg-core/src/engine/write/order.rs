//! The order of written rows. PostgreSQL returns them as it finds them, which may be in the order of an index on a
//! column that the caller does not see.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::plan::ChangePlan;

/// Sorts rows that have the `shown` columns first by columns among `by`: the key of their table, or all if the key is not among
/// them. If the plan sets the key, those that it does not set come first, so that rows have the same order before and after it.
pub(super) fn sort(plan: &ChangePlan<'_>, by: &[usize], shown: &[usize], rows: &mut [Vec<Value>]) {
    let columns = &plan.table.table.columns;
    let is_set = |position: &usize| {
        let mut sets = plan.effect.sets().flat_map(|(_, set)| set);
        sets.any(|(column, _)| column.name == columns[*position].name)
    };
    let mut key = plan.table.steady_order();
    if key.is_empty() || !key.iter().all(|column| by.contains(column) && !is_set(column)) {
        let (set, kept): (Vec<usize>, Vec<usize>) = by.iter().partition(|column| is_set(column));
        key = [kept, set].concat();
    }
    let place = |column: &usize| shown.iter().position(|other| other == column);
    let key: Vec<usize> = key.iter().filter_map(place).collect();
    rows.sort_by(|a, b| {
        let mut parts = key.iter().map(|place| compare(a.get(*place), b.get(*place)));
        parts.find(|part| part.is_ne()).unwrap_or(Ordering::Equal)
    });
}

fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => numbers(a, b),
        (Some(Value::String(a)), Some(Value::String(b))) => a.cmp(b),
        (a, b) => a.map(Value::to_string).cmp(&b.map(Value::to_string)),
    }
}

fn numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()),
    }
}

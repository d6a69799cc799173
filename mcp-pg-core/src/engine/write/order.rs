//! The order of written rows. PostgreSQL returns them as it finds them, which may be in the order of an index on a
//! column that the caller does not see.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::plan::ChangePlan;

/// Sorts rows that have the `shown` columns first: by the key of their table, or by all these columns if the key is not
/// among them. Columns that the plan sets come last, so that the rows have the same order before and after it.
pub(super) fn sort(plan: &ChangePlan<'_>, shown: &[usize], rows: &mut [Vec<Value>]) {
    let columns = &plan.table.table.columns;
    let is_set = |shown: usize| {
        let mut sets = plan.effect.sets().flat_map(|(_, set)| set);
        sets.any(|(column, _)| column.name == columns[shown].name)
    };
    let key = plan.table.steady_order().into_iter();
    let key: Option<Vec<usize>> = key.map(|column| place(shown, column)).collect();
    let key = key.filter(|key| !key.is_empty());
    let mut key = key.unwrap_or_else(|| (0..shown.len()).collect());
    key.sort_by_key(|place| is_set(shown[*place]));
    rows.sort_by(|a, b| {
        let parts = key.iter().map(|place| compare(a.get(*place), b.get(*place)));
        parts.fold(Ordering::Equal, Ordering::then)
    });
}

fn place(shown: &[usize], column: usize) -> Option<usize> {
    shown.iter().position(|other| *other == column)
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

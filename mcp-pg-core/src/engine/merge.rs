//! `$merge` where there is no object to put members into: told, before anything is lost or made of it.

use std::collections::HashMap;

use serde_json::Value;

use super::change::position;
use crate::error::{Code, Error, Result, step};
use crate::plan::{Assign, ChangePlan, Effect};
use crate::schema::Column;

/// The positions of the columns, among those that may be read, into which something is merged.
pub(super) fn columns(plan: &ChangePlan<'_>) -> Vec<usize> {
    let sets: Vec<&[(&Column, Assign)]> = match &plan.effect {
        Effect::Set(set) => vec![set],
        // Rows of one batch set the same columns in the same way.
        Effect::SetEach(each) => {
            let first = each.batches.iter().filter_map(|rows| rows.first());
            first.map(|row| row.set.as_slice()).collect()
        }
        _ => Vec::new(),
    };
    let readable = plan.table.readable_columns();
    let merged = |position: &usize| {
        let name = &plan.table.table.columns[*position].name;
        sets.iter().any(|set| is_merged(set, name))
    };
    readable.filter(merged).collect()
}

/// Refuses if a row holds something else than an object, or nothing; the rows begin with the columns `looked_at`.
pub(super) fn check(plan: &ChangePlan<'_>, rows: &[Vec<Value>], looked_at: &[usize]) -> Result<()> {
    let merged = columns(plan);
    if merged.is_empty() {
        return Ok(());
    }
    let places = looked_at.iter().enumerate().filter(|(_, column)| merged.contains(column));
    let places: Vec<(usize, &str)> = places
        .map(|(place, column)| (place, plan.table.table.columns[*column].name.as_str()))
        .collect();
    let named: HashMap<usize, &[(&Column, Assign)]> = match &plan.effect {
        Effect::SetEach(each) => each.rows().map(|row| (row.index, row.set.as_slice())).collect(),
        _ => HashMap::new(),
    };
    for row in rows {
        let (set, at) = match &plan.effect {
            Effect::Set(set) => (set.as_slice(), "/updates".to_owned()),
            _ => {
                let index = position(row, 0);
                (named.get(&index).copied().unwrap_or_default(), format!("/updates/{index}"))
            }
        };
        for (place, name) in &places {
            let old = row.get(*place).filter(|old| !old.is_object() && !old.is_null());
            if let Some(old) = old.filter(|_| is_merged(set, name)) {
                return Err(no_object(name, old).at(format!("{at}{}/$merge", step(name))));
            }
        }
    }
    Ok(())
}

fn is_merged(set: &[(&Column, Assign)], name: &str) -> bool {
    set.iter().any(|(column, assign)| column.name == name && matches!(assign, Assign::Merge(_)))
}

fn no_object(name: &str, old: &Value) -> Error {
    let there = match old {
        Value::Array(_) => "a list",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        _ => "true or false",
    };
    let message = format!("$merge puts members into an object, and {name} is {there} in a row");
    let hint = "set the whole value, or narrow where to rows that hold an object";
    Error::new(Code::InvalidValue, message).hint(hint)
}

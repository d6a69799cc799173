//! Checks changes within JSON documents against the rows, so that no data is lost.
//!
//! `$merge` adds members to an object, `$append` adds elements to a list, `$set` sets the value at a path, `$remove`
//! removes members.

use std::collections::HashMap;

use serde_json::Value;

use super::each::position;
use crate::error::{Code, Error, Result, step};
use crate::plan::{Assign, ChangePlan};
use crate::schema::{Column, Family};

/// The positions of the readable columns whose documents are changed.
pub(super) fn columns(plan: &ChangePlan<'_>) -> Vec<usize> {
    let sets: Vec<&[(&Column, Assign<'_>)]> = match plan.effect.each() {
        // All rows of a batch assign to the same columns in the same way.
        Some(each) => {
            let first = each.batches.iter().filter_map(|rows| rows.first());
            first.map(|row| row.set.as_slice()).collect()
        }
        None => plan.effect.sets().map(|(_, set)| set).collect(),
    };
    let readable = plan.table.readable_columns();
    let changed = |position: &usize| {
        let name = &plan.table.table.columns[*position].name;
        sets.iter().any(|set| change(set, name).is_some())
    };
    readable.filter(changed).collect()
}

/// Refuses if the document of a row does not fit its change. The rows begin with the columns `looked_at`.
pub(super) fn check(plan: &ChangePlan<'_>, rows: &[Vec<Value>], looked_at: &[usize]) -> Result<()> {
    let changed = columns(plan);
    if changed.is_empty() {
        return Ok(());
    }
    let places = looked_at.iter().enumerate().filter(|(_, column)| changed.contains(column));
    let places: Vec<(usize, &str)> = places
        .map(|(place, column)| (place, plan.table.table.columns[*column].name.as_str()))
        .collect();
    let sets: HashMap<Option<usize>, &[(&Column, Assign<'_>)]> = plan.effect.sets().collect();
    for row in rows {
        let index = plan.effect.each().map(|_| position(row, 0));
        let set = sets.get(&index).copied().unwrap_or_default();
        let at = match index {
            Some(index) => format!("/updates/{index}"),
            None => "/updates".to_owned(),
        };
        for (place, name) in &places {
            let (Some(change), Some(old)) = (change(set, name), row.get(*place)) else {
                continue;
            };
            if let Some(error) = change.misfit(name, old) {
                return Err(error.at(format!("{at}{}/{}", step(name), change.operator())));
            }
        }
    }
    Ok(())
}

/// The change of a document.
#[derive(Clone, Copy)]
enum Change<'a> {
    Members,
    Elements,
    Without,
    At(&'a [String]),
}

/// The change of the column with this name, if it holds documents.
fn change<'a>(set: &'a [(&Column, Assign<'_>)], name: &str) -> Option<Change<'a>> {
    let (column, assign) = set.iter().find(|(column, _)| column.name == name)?;
    match assign {
        _ if column.data_type.family() != Family::Json => None,
        Assign::Merge(_) => Some(Change::Members),
        Assign::Append(_) => Some(Change::Elements),
        Assign::Remove(_) => Some(Change::Without),
        Assign::Set(put) => Some(Change::At(&put.path)),
        _ => None,
    }
}

impl Change<'_> {
    fn operator(self) -> &'static str {
        match self {
            Self::Members => "$merge",
            Self::Elements => "$append",
            Self::Without => "$remove",
            Self::At(_) => "$set",
        }
    }

    /// Why a document does not fit its change, if so. Null fits every addition.
    fn misfit(self, name: &str, old: &Value) -> Option<Error> {
        let (message, wanted) = match self {
            _ if old.is_null() => return None,
            Self::Members if old.is_object() => return None,
            Self::Elements if old.is_array() => return None,
            Self::Without if old.is_object() || old.is_array() => return None,
            Self::At(path) => return blocked(name, old, path),
            Self::Members => ("$merge puts members into an object", "an object"),
            Self::Elements => ("$append adds elements to the end of a list", "a list"),
            Self::Without => ("$remove takes members out of an object", "an object"),
        };
        let message = format!("{message}, and {name} is {} in a row", kind(old));
        let hint = format!("set the whole value, or narrow where to rows that hold {wanted}");
        Some(Error::new(Code::InvalidValue, message).hint(hint))
    }
}

/// Why a path cannot be set, if so: it leads into a scalar, or beyond the end of a list.
fn blocked(name: &str, old: &Value, path: &[String]) -> Option<Error> {
    let mut there = old;
    for (depth, step) in path.iter().enumerate() {
        let wrong = |what: &str| {
            let place = path[..depth].iter();
            let place = place.fold(name.to_owned(), |place, step| format!("{place}.{step}"));
            let message =
                format!("$set cannot follow the path at {step:?}: {place} is {what} in a row");
            let hint = "set the whole value, or narrow where to rows that hold an object there";
            Some(Error::new(Code::InvalidValue, message).hint(hint))
        };
        there = match there {
            Value::Null => return None,
            Value::Object(members) => members.get(step)?,
            Value::Array(items) => match step.parse::<usize>() {
                Ok(index) if index < items.len() => &items[index],
                // An element may be added at the end.
                Ok(index) if depth + 1 == path.len() && index == items.len() => return None,
                _ => return wrong(&format!("a list of {}", items.len())),
            },
            other => return wrong(kind(other)),
        };
    }
    None
}

fn kind(json: &Value) -> &'static str {
    match json {
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        Value::Null => "null",
    }
}

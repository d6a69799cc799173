//! Documents of JSON to which something is added that they have no place for: told, before anything is lost or made of it.
//!
//! `$merge` puts members into an object, `$append` elements behind those of a list.

use std::collections::HashMap;

use serde_json::Value;

use super::named::position;
use crate::error::{Code, Error, Result, step};
use crate::plan::{Assign, ChangePlan, Effect};
use crate::schema::{Column, Family};

/// The positions of the columns, among those that may be read, whose documents something is added to.
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
    let added_to = |position: &usize| {
        let name = &plan.table.table.columns[*position].name;
        sets.iter().any(|set| addition(set, name).is_some())
    };
    readable.filter(added_to).collect()
}

/// Refuses if a row holds something that has no place for what is added; the rows begin with the columns `looked_at`.
pub(super) fn check(plan: &ChangePlan<'_>, rows: &[Vec<Value>], looked_at: &[usize]) -> Result<()> {
    let added_to = columns(plan);
    if added_to.is_empty() {
        return Ok(());
    }
    let places = looked_at.iter().enumerate().filter(|(_, column)| added_to.contains(column));
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
            let (Some(addition), Some(old)) = (addition(set, name), row.get(*place)) else {
                continue;
            };
            if !addition.fits(old) {
                let at = format!("{at}{}/{}", step(name), addition.operator());
                return Err(addition.misfit(name, old).at(at));
            }
        }
    }
    Ok(())
}

/// What is added to a document.
#[derive(Clone, Copy)]
enum Addition {
    Members,
    Elements,
}

/// What is added to the column of this name, if that holds documents.
fn addition(set: &[(&Column, Assign)], name: &str) -> Option<Addition> {
    set.iter().find_map(|(column, assign)| match assign {
        _ if column.name != name => None,
        Assign::Merge(_) => Some(Addition::Members),
        Assign::Append(_) if column.data_type.family() == Family::Json => Some(Addition::Elements),
        _ => None,
    })
}

impl Addition {
    fn operator(self) -> &'static str {
        match self {
            Self::Members => "$merge",
            Self::Elements => "$append",
        }
    }

    /// Whether a document has a place for it: nothing becomes what is added.
    fn fits(self, old: &Value) -> bool {
        match self {
            Self::Members => old.is_object() || old.is_null(),
            Self::Elements => old.is_array() || old.is_null(),
        }
    }

    fn misfit(self, name: &str, old: &Value) -> Error {
        let there = match old {
            Value::Object(_) => "an object",
            Value::Array(_) => "a list",
            Value::String(_) => "a string",
            Value::Number(_) => "a number",
            _ => "true or false",
        };
        let (message, wanted) = match self {
            Self::Members => ("$merge puts members into an object", "an object"),
            Self::Elements => ("$append puts elements behind those of a list", "a list"),
        };
        Error::new(Code::InvalidValue, format!("{message}, and {name} is {there} in a row"))
            .hint(format!("set the whole value, or narrow where to rows that hold {wanted}"))
    }
}

//! Members of JSON objects that are lost when another object replaces them.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::each::position;
use crate::plan::{Assign, ChangePlan, Source};
use crate::schema::{Column, Family};

/// The assignments of one row, or of all rows.
type Set<'p> = [(&'p Column, Assign<'p>)];

/// The positions of the columns, readable without a mask, that are set to an object.
pub(super) fn columns(plan: &ChangePlan<'_>) -> Vec<usize> {
    let table = plan.table;
    let gets = |position: &usize| {
        let name = &table.table.columns[*position].name;
        // Reading a sensitive column would have to be recorded.
        let open = table.mask(*position).is_none()
            && table.sealed(name).is_none()
            && !table.marks(*position).sensitive;
        let mut sets = plan.effect.sets().flat_map(|(_, set)| set);
        let is_object = |one| written(one).is_some_and(|(text, _)| text.starts_with('{'));
        open && sets.any(|one| one.0.name == *name && is_object(one))
    };
    table.readable_columns().filter(gets).collect()
}

/// The note on members that a row's object has and its replacement lacks. The rows begin with the columns
/// `looked_at`.
pub(super) fn note(
    plan: &ChangePlan<'_>,
    rows: &[Vec<Value>],
    looked_at: &[usize],
) -> Option<String> {
    let columns = columns(plan);
    let places = looked_at.iter().enumerate().filter(|(_, column)| columns.contains(column));
    let places: HashMap<&str, usize> = places
        .map(|(place, column)| (plan.table.table.columns[*column].name.as_str(), place))
        .collect();
    if places.is_empty() {
        return None;
    }
    let sets = plan.effect.sets();
    let given: HashMap<Option<usize>, Vec<Given<'_>>> =
        sets.map(|(index, set)| (index, given(set, &places))).collect();
    let lost = |row: &Vec<Value>| {
        let index = plan.effect.each().map(|_| position(row, 0));
        given.get(&index)?.iter().find_map(|given| {
            let member = given.lost(row.get(given.place)?.as_object()?)?;
            Some((given.column, member))
        })
    };
    Some(match rows.iter().find_map(lost)? {
        (name, None) => format!(
            "{name} had other members, too, which went with the object that this one replaced: {{{name:?}: {{\"$merge\": \
             {{…}}}}}} keeps those that it does not name"
        ),
        (name, Some(member)) => format!(
            "{member:?} in {name} had other members, too, which went: $merge goes one level deep, {{{name:?}: {{\"$set\": \
             {{\"path\": [{member:?}, \"…\"], \"value\": …}}}}}} changes one further down"
        ),
    })
}

/// A column, its position in the rows, and the object that it is set to or merged with.
struct Given<'p> {
    column: &'p str,
    place: usize,
    object: Map<String, Value>,
    merged: bool,
}

impl Given<'_> {
    /// What the column's object loses: its own members (`None`), or those of the member with this name.
    fn lost(&self, old: &Map<String, Value>) -> Option<Option<String>> {
        let loses = |old: &Map<String, Value>, new: &Map<String, Value>| {
            !new.is_empty() && old.keys().any(|key| !new.contains_key(key))
        };
        if !self.merged {
            return loses(old, &self.object).then_some(None);
        }
        let mut members = self.object.iter();
        let member = members.find(|(key, new)| {
            let old = old.get(*key).and_then(Value::as_object);
            new.as_object().zip(old).is_some_and(|(new, old)| loses(old, new))
        });
        member.map(|(key, _)| Some(key.clone()))
    }
}

fn given<'p>(set: &'p Set<'_>, places: &HashMap<&str, usize>) -> Vec<Given<'p>> {
    let given = set.iter().filter_map(|one| {
        let column = one.0.name.as_str();
        let place = *places.get(column)?;
        let (text, merged) = written(one)?;
        Some(Given { column, place, object: serde_json::from_str(text).ok()?, merged })
    });
    given.collect()
}

/// The JSON text that a column is set to, and whether it is merged with the column's document.
fn written<'p>((column, assign): &'p (&Column, Assign<'_>)) -> Option<(&'p str, bool)> {
    let (operand, merged) = match assign {
        Assign::Value(operand) if column.data_type.family() == Family::Json => (operand, false),
        Assign::Merge(operand) => (operand, true),
        _ => return None,
    };
    match &operand.source {
        Source::Text(Some(text)) => Some((text, merged)),
        _ => None,
    }
}

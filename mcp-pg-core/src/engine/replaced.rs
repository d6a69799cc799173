//! Objects of JSON that take the place of others: members that are lost with those.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::named::position;
use crate::plan::{Assign, ChangePlan, Operand, Source};
use crate::schema::{Column, Family};

/// The values of one row, or of all.
type Set<'p> = [(&'p Column, Assign<'p>)];

/// The positions of the columns, among those that may be read as they are, that get an object.
pub(super) fn columns(plan: &ChangePlan<'_>) -> Vec<usize> {
    let table = plan.table;
    let gets = |position: &usize| {
        let name = &table.table.columns[*position].name;
        // Reads of sensitive ones are recorded, and this would be one.
        let open = table.mask(*position).is_none()
            && table.sealed(name).is_none()
            && !table.marks(*position).sensitive;
        let mut sets = plan.effect.sets().flat_map(|(_, set)| set);
        open && sets
            .any(|one| one.0.name == *name && object(one).is_some_and(|text| text.starts_with('{')))
    };
    table.readable_columns().filter(gets).collect()
}

/// What to say where a row has members that the object in its place has not; the rows begin with the columns `looked_at`.
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
        given.get(&index)?.iter().find_map(|(name, place, new)| {
            let old = row.get(*place)?.as_object()?;
            old.keys().any(|key| !new.contains_key(key)).then_some(*name)
        })
    };
    let name = rows.iter().find_map(lost)?;
    Some(format!(
        "{name} had other members, too, which went with the object that this one replaced: {{{name:?}: {{\"$merge\": {{…}}}}}} \
         keeps those that it does not name"
    ))
}

/// A column, its place in a row, and the object that it gets.
type Given<'p> = (&'p str, usize, Map<String, Value>);

fn given<'p>(set: &'p Set<'_>, places: &HashMap<&str, usize>) -> Vec<Given<'p>> {
    let given = set.iter().filter_map(|one| {
        let place = *places.get(one.0.name.as_str())?;
        let object: Map<String, Value> = serde_json::from_str(object(one)?).ok()?;
        (!object.is_empty()).then_some((one.0.name.as_str(), place, object))
    });
    given.collect()
}

/// The text of the JSON that a column gets.
fn object<'p>((column, assign): &'p (&Column, Assign<'_>)) -> Option<&'p str> {
    match assign {
        Assign::Value(Operand { source: Source::Text(Some(text)), .. })
            if column.data_type.family() == Family::Json =>
        {
            Some(text)
        }
        _ => None,
    }
}

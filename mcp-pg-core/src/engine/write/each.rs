//! Rows that a list of updates identifies by key.

use std::collections::HashMap;

use serde_json::Value;

use super::version::{Versions, gone};
use crate::error::{Code, Error, Result};
use crate::execute::Fetched;
use crate::plan::Each;

/// The most rows that a note lists.
const LISTED_MOST: usize = 20;

/// The row's position in the list, which is followed by `behind` further values.
pub(super) fn position(row: &[Value], behind: usize) -> usize {
    let value = row.len().checked_sub(behind + 1).and_then(|place| row.get(place));
    let number = value.and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
    number.unwrap_or(usize::MAX)
}

/// Sorts the rows by their positions in the list. Refuses if two items name the same row, or if a row does not have
/// the version that the caller read. Returns a note on items that match no row.
pub(super) fn each_is_one(
    versions: &Versions<'_, '_>,
    each: &Each<'_>,
    found: &mut Fetched,
    looked_at: &[usize],
) -> Result<Option<String>> {
    let plan = versions.plan;
    found.rows.sort_by_key(|row| position(row, 0));
    let columns = &plan.table.table.columns;
    let key = looked_at.iter().enumerate();
    let key = key.filter(|(_, column)| each.is_named_by(&columns[**column]));
    let key: Vec<usize> = key.map(|(place, _)| place).collect();
    let mut first: HashMap<String, usize> = HashMap::new();
    let mut by_position: HashMap<usize, &Vec<Value>> = HashMap::new();
    for row in &found.rows {
        let key: Vec<&Value> = key.iter().filter_map(|place| row.get(*place)).collect();
        let key = serde_json::to_string(&key).unwrap_or_default();
        let here = position(row, 0);
        if let Some(known) = first.insert(key, here) {
            return Err(Error::new(
                Code::InvalidValue,
                format!("updates {known} and {here} name the same row"),
            )
            .at(format!("/updates/{here}")));
        }
        by_position.insert(here, row);
    }
    let mut missing: Vec<usize> = Vec::new();
    for row in each.rows() {
        let at = format!("/updates/{}", row.index);
        match (by_position.get(&row.index), &row.version) {
            (None, None) => missing.push(row.index),
            (None, Some(_)) => return Err(gone(&at)),
            (Some(known), Some(version)) => {
                versions.same(known, version).map_err(|error| error.at(format!("{at}/_version")))?
            }
            (Some(_), None) => {}
        }
    }
    if missing.is_empty() {
        return Ok(None);
    }
    missing.sort_unstable();
    let listed = missing.iter().take(LISTED_MOST).map(|index| format!("/updates/{index}"));
    let listed = listed.collect::<Vec<_>>().join(", ");
    let more = match missing.len().saturating_sub(LISTED_MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let archived = plan.table.archive.as_ref().is_some_and(|column| plan.filter.leaves_out(column));
    let archived = if archived { "; archived ones are left out" } else { "" };
    Ok(Some(format!("these updates match no row: {listed}{more}{archived}")))
}

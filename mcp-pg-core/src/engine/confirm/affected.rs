//! Which rows an operation affected: what a confirmation is bound to beside the request itself.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::engine::transaction::Operation;
use crate::plan::{Plan, Shown};
use crate::policy::TableView;

/// Values of a row as JSON texts, each with the position of its column.
pub(in crate::engine) type Values = Vec<(usize, String)>;

/// The rows that an operation affected.
#[derive(Debug, Default)]
pub(in crate::engine) struct Affected {
    /// How many.
    pub(in crate::engine) rows: u64,
    /// What the request does not say of them, where the user is to agree to it.
    pub(in crate::engine) facts: Vec<Fact>,
    /// The keys of those that it added, each with its place among the rows that it gave.
    pub(in crate::engine) added: HashMap<Values, usize>,
    /// The places of those that it met and overwrote, as far as the rows tell.
    pub(in crate::engine) met: Vec<usize>,
}

/// Something about a row that the confirmation is bound to.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Fact {
    /// A row, by its key; of one without a key, also the values that cannot be among those.
    Row(Values, Vec<String>),
    /// A row, and what was computed for it from related ones.
    Computed(Values, Values),
    /// A value that another operation takes from a row; the row's key as far as it is known.
    Taken(Option<Values>, (usize, String)),
}

impl Affected {
    /// How many of the rows are told by what they are.
    pub(in crate::engine) fn told(&self) -> usize {
        self.facts.iter().filter(|fact| matches!(fact, Fact::Row(..))).count()
    }

    /// What the user agrees to.
    pub(in crate::engine) fn effect(&self) -> Value {
        let mut facts: Vec<&Fact> = self.facts.iter().collect();
        facts.sort_unstable();
        json!([self.rows, facts])
    }
}

impl Operation<'_> {
    /// The key of a row that it gave, as [`keys`] has it; none if its columns are not all there.
    pub(in crate::engine) fn key(&self, row: &Map<String, Value>) -> Option<Values> {
        let table = self.table();
        let mut key = table.steady_order();
        key.sort_unstable();
        let whole = match &self.plan {
            Plan::Select(plan) => {
                let shows = |position: &usize| {
                    let mut shown = plan.columns.iter();
                    shown.any(|shown| matches!(shown, Shown::Column(column) if column == position))
                };
                !table.is_derived() && key.iter().all(shows)
            }
            Plan::Insert(_) | Plan::Change(_) => true,
        };
        let value = |position: usize| {
            let value = row.get(&table.table.columns[position].name)?;
            Some((position, value.to_string()))
        };
        let values = key.into_iter().map(value).collect::<Option<_>>()?;
        whole.then_some(values)
    }
}

/// Of each row, which was read with these columns, its values of those that are `told`.
pub(in crate::engine) fn keys(told: &[usize], read: &[usize], rows: &[Vec<Value>]) -> Vec<Values> {
    let places = read.iter().enumerate().filter(|(_, column)| told.contains(column));
    let places: Vec<(usize, usize)> = places.map(|(place, column)| (place, *column)).collect();
    let of_row = |row: &Vec<Value>| {
        let values = places.iter();
        values.filter_map(|(place, column)| Some((*column, row.get(*place)?.to_string()))).collect()
    };
    rows.iter().map(of_row).collect()
}

/// What tells rows that were read with these columns and that have, from the value at `apart` on, what else tells them
/// ([`TableView::apart`]).
pub(in crate::engine) fn facts(
    table: &TableView,
    read: &[usize],
    apart: usize,
    rows: &[Vec<Value>],
) -> Vec<Fact> {
    let width = table.apart().len();
    let others = rows.iter().map(|row| {
        let values = row.iter().skip(apart).take(width);
        values.map(ToString::to_string).collect()
    });
    let keys = keys(&table.steady_order(), read, rows).into_iter();
    keys.zip(others).map(|(key, others)| Fact::Row(key, others)).collect()
}

//! The rows that an operation affected, to which a confirmation is bound in addition to the request.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::generated::Generated;
use crate::engine::transaction::Operation;
use crate::plan::{Plan, Shown};
use crate::policy::TableView;

/// Values of a row as JSON texts, each with its column's position.
pub(in crate::engine) type Values = Vec<(usize, String)>;

/// The rows that an operation affected.
#[derive(Debug, Default)]
pub(in crate::engine) struct Affected {
    /// Their number.
    pub(in crate::engine) rows: u64,
    /// Facts about them that do not follow from the request, if the user is to confirm it.
    pub(in crate::engine) facts: Vec<Fact>,
    /// For inserted rows that later operations may find, in their order: the values by which they do.
    pub(in crate::engine) added: Vec<Values>,
    /// The indexes of overwritten rows in an upsert, as far as known.
    pub(in crate::engine) met: Vec<usize>,
    /// What the database generated for the new rows.
    pub(in crate::engine) generated: Generated,
}

/// A fact about a row to which the confirmation is bound.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Fact {
    /// A row, by its key. Without a key, the second part holds further values that identify it.
    Row(Values, Vec<String>),
    /// A row by its key, and the values computed for it from related rows.
    Computed(Values, Values),
    /// A row by the key that it had before the operation, if that is known, and the values by which later operations
    /// may find it.
    Rekeyed(Option<Values>, Values),
    /// A value that another operation takes from a row, with the row's key if it existed before the operation. The
    /// text is empty for a time that the transaction itself set.
    Taken(Option<Values>, (usize, String)),
}

impl Affected {
    /// The number of rows that are identified.
    pub(in crate::engine) fn told(&self) -> usize {
        self.facts.iter().filter(|fact| matches!(fact, Fact::Row(..))).count()
    }

    /// What the user confirms, as JSON.
    pub(in crate::engine) fn effect(&self) -> Value {
        let mut facts: Vec<&Fact> = self.facts.iter().collect();
        facts.sort_unstable();
        json!([self.rows, facts, self.added])
    }
}

impl Operation<'_> {
    /// The key of a row of the operation, in the form of [`keys`]; `None` if not all of its columns are shown.
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

/// For each row, which was read with the columns `read`, its values of the columns `told`.
pub(in crate::engine) fn keys(told: &[usize], read: &[usize], rows: &[Vec<Value>]) -> Vec<Values> {
    let places = read.iter().enumerate().filter(|(_, column)| told.contains(column));
    let places: Vec<(usize, usize)> = places.map(|(place, column)| (place, *column)).collect();
    let of_row = |row: &Vec<Value>| {
        let values = places.iter();
        values.filter_map(|(place, column)| Some((*column, row.get(*place)?.to_string()))).collect()
    };
    rows.iter().map(of_row).collect()
}

/// The facts that identify rows by the columns `told`. The rows were read with the columns `read`, and their values from
/// `apart` on are those of [`TableView::apart`] and the hidden key.
pub(in crate::engine) fn facts(
    table: &TableView,
    told: &[usize],
    read: &[usize],
    apart: usize,
    rows: &[Vec<Value>],
) -> Vec<Fact> {
    let width = table.apart().len() + table.hidden_key().len();
    let others = rows.iter().map(|row| {
        let values = row.iter().skip(apart).take(width);
        values.map(ToString::to_string).collect()
    });
    let keys = keys(told, read, rows).into_iter();
    keys.zip(others).map(|(key, others)| Fact::Row(key, others)).collect()
}

//! Which rows an operation was about: what the user agrees to as far as the request does not tell it.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::operation::Operation;
use crate::plan::{Plan, Shown};

/// Which rows an operation was about.
#[derive(Debug, Default)]
pub(super) struct Reached {
    /// How many.
    pub(super) rows: u64,
    /// What tells them from others: where the user is to agree to rows that the request does not name.
    pub(super) which: Vec<Told>,
    /// The keys of those that it added, each with its place among the rows that it gave.
    pub(super) added: HashMap<String, usize>,
    /// The places of those that it met and overwrote, as far as the rows tell.
    pub(super) met: Vec<usize>,
}

/// What tells a row from others, or a value of one.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    /// A row, by its key.
    Row(String),
    /// A row, and what was computed for it from related ones.
    Computed(String, String),
    /// What another operation takes from a row; the row's key as far as it is known.
    Taken(Option<String>, String),
}

impl Reached {
    /// Names the rows that operations of the same transaction have added by their places, which this tells of a key:
    /// PostgreSQL may give them another key at each try, and other values.
    pub(super) fn name(&mut self, place: impl Fn(&str) -> Option<String>) {
        for told in &mut self.which {
            let key = match told {
                Told::Row(key) | Told::Computed(key, _) => Some(key),
                Told::Taken(key, _) => key.as_mut(),
            };
            let Some((key, place)) = key.and_then(|key| place(key).map(|place| (key, place)))
            else {
                continue;
            };
            *key = place;
            if let Told::Taken(_, value) = told {
                value.clear();
            }
        }
    }

    /// What the user agrees to.
    pub(super) fn effect(&self) -> Value {
        let mut which: Vec<&Told> = self.which.iter().collect();
        which.sort_unstable();
        json!([self.rows, which])
    }
}

impl Operation<'_> {
    /// The key of a row that it gave, as [`keys`] has it; none if its columns are not all there.
    pub(super) fn key(&self, row: &Map<String, Value>) -> Option<String> {
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
        let name = |position: usize| row.get(&table.table.columns[position].name);
        let values: Vec<&Value> = key.into_iter().map(name).collect::<Option<_>>()?;
        whole.then(|| Value::from_iter(values.into_iter().cloned()).to_string())
    }
}

/// Of each row, which was read with these columns, its values of those that are `told`.
pub(super) fn keys(told: &[usize], read: &[usize], rows: &[Vec<Value>]) -> Vec<String> {
    let places = read.iter().enumerate().filter(|(_, column)| told.contains(column));
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    let of_row = |row: &Vec<Value>| {
        let values: Vec<&Value> = places.iter().filter_map(|place| row.get(*place)).collect();
        json!(values).to_string()
    };
    rows.iter().map(of_row).collect()
}

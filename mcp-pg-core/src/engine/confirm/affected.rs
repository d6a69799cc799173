//! Which rows an operation affected: what a confirmation is bound to beside the request itself.

use std::collections::HashMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::engine::transaction::Operation;
use crate::plan::{Plan, Shown};

/// The rows that an operation affected.
#[derive(Debug, Default)]
pub(in crate::engine) struct Affected {
    /// How many.
    pub(in crate::engine) rows: u64,
    /// What the request does not say of them, where the user is to agree to it.
    pub(in crate::engine) facts: Vec<Fact>,
    /// The keys of those that it added, each with its place among the rows that it gave.
    pub(in crate::engine) added: HashMap<String, usize>,
    /// The places of those that it met and overwrote, as far as the rows tell.
    pub(in crate::engine) met: Vec<usize>,
}

/// Something about a row that the confirmation is bound to.
#[derive(Debug, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) enum Fact {
    /// A row, by its key.
    Row(String),
    /// A row, and what was computed for it from related ones.
    Computed(String, String),
    /// What another operation takes from a row; the row's key as far as it is known.
    Taken(Option<String>, String),
}

impl Affected {
    /// Names the rows that operations of the same transaction have added by their places, which this tells of a key:
    /// PostgreSQL may give them another key at each try, and other values.
    pub(in crate::engine) fn name(&mut self, place: impl Fn(&str) -> Option<String>) {
        for fact in &mut self.facts {
            let key = match fact {
                Fact::Row(key) | Fact::Computed(key, _) => Some(key),
                Fact::Taken(key, _) => key.as_mut(),
            };
            let Some((key, place)) = key.and_then(|key| place(key).map(|place| (key, place)))
            else {
                continue;
            };
            *key = place;
            if let Fact::Taken(_, value) = fact {
                value.clear();
            }
        }
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
    pub(in crate::engine) fn key(&self, row: &Map<String, Value>) -> Option<String> {
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
pub(in crate::engine) fn keys(told: &[usize], read: &[usize], rows: &[Vec<Value>]) -> Vec<String> {
    let places = read.iter().enumerate().filter(|(_, column)| told.contains(column));
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    let of_row = |row: &Vec<Value>| {
        let values: Vec<&Value> = places.iter().filter_map(|place| row.get(*place)).collect();
        json!(values).to_string()
    };
    rows.iter().map(of_row).collect()
}

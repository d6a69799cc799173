//! What the operations of a transaction made themselves: rows, and values that PostgreSQL chooses anew at each
//! attempt, such as numbers, times and random keys. A confirmation refers to these by their places in the
//! transaction. It is bound to all other facts as they are.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use super::affected::{Affected, Fact, Values};
use super::identities::Identities;
use crate::engine::transaction::Operation;
use crate::name::TableName;
use crate::plan::{Assign, Plan};
use crate::policy::TableView;

/// Rows and values that operations made, each with a text that names its place.
#[derive(Debug, Default)]
pub(in crate::engine) struct Made {
    rows: Identities,
    /// Values, by their table, column and JSON text.
    values: HashMap<(TableName, String, String), String>,
}

impl Made {
    /// Adds what the operation at `index` made. `rows` are the rows that it returned.
    pub(in crate::engine) fn add(
        &mut self,
        index: usize,
        operation: &Operation<'_>,
        affected: &Affected,
        rows: &[Map<String, Value>],
    ) {
        let table = operation.table();
        for (key, row) in &affected.added {
            self.rows.add(table, key.clone(), format!("$ref {index}.{row}"));
        }
        if !operation.writes() || operation.removes() {
            return;
        }
        let added = operation.adds();
        let anew = Anew::of(&operation.plan);
        for (place, row) in rows.iter().enumerate() {
            let is_new = added && !affected.met.contains(&place);
            for (name, value) in row.iter().filter(|(_, value)| !value.is_null()) {
                let Some((position, _)) = table.table.column(name) else { continue };
                let text = value.to_string();
                let known = match anew.is(table, position, is_new) {
                    true => Some(format!("$ref {index}.{place}.{name}")),
                    false => self.place(table.name(), name, &text).cloned(),
                };
                if let Some(known) = known {
                    self.values.entry((table.name().clone(), name.clone(), text)).or_insert(known);
                }
            }
        }
    }

    /// Notes which rows have which keys after an operation that changed the rows with the keys `before`.
    pub(in crate::engine) fn rekey(
        &mut self,
        operation: &Operation<'_>,
        affected: &Affected,
        before: Vec<Values>,
        rows: &[Map<String, Value>],
    ) {
        let set = match &operation.plan {
            Plan::Change(_) => Anew::of(&operation.plan).set,
            Plan::Insert(plan) => {
                let set = plan.arbiter.iter().flat_map(|arbiter| &arbiter.set);
                set.map(|(column, _)| column.name.as_str()).collect()
            }
            Plan::Select(_) => return,
        };
        let added: HashSet<usize> = affected.added.values().copied().collect();
        // Whether the others were there before is not always known.
        let known = added.len() + affected.met.len() >= rows.len();
        let table = operation.table();
        let looks = known || !operation.adds() || Identities::has_in_key(table, &set);
        let changed = rows.iter().enumerate().filter(|(at, _)| looks && !added.contains(at));
        let after = changed.filter_map(|(_, row)| operation.key(row)).collect();
        self.rows.change(table, &set, before, after);
    }

    /// Notes that the rows with these keys were deleted.
    pub(in crate::engine) fn remove(&mut self, table: &TableView, keys: &[Values]) {
        keys.iter().for_each(|key| self.rows.remove(table, key));
    }

    /// Notes that a column gets a value of another table's column. A value that is only compared existed before.
    pub(in crate::engine) fn pass_on(
        &mut self,
        (table, column): (&TableView, &str),
        (source, of): (&TableView, &str),
        value: &Value,
    ) {
        let text = value.to_string();
        if let Some(place) = self.place(source.name(), of, &text).cloned() {
            self.values.entry((table.name().clone(), column.to_owned(), text)).or_insert(place);
        }
    }

    /// Replaces the keys of the rows that an operation met, which they had before it, by their identities.
    pub(in crate::engine) fn name_met(&self, table: &TableView, facts: &mut [Fact]) {
        for fact in facts {
            if let Fact::Row(key, _) = fact {
                *key = self.rows.of(table, std::mem::take(key));
            }
        }
    }

    /// Replaces what was made by its place, and a key by its row's identity, in a fact about values of rows.
    pub(in crate::engine) fn name(&self, table: &TableView, fact: &mut Fact) {
        let key = match fact {
            Fact::Row(..) => None,
            Fact::Computed(key, values) => {
                values.iter_mut().for_each(|value| self.name_value(table, value));
                Some(key)
            }
            Fact::Taken(key, value) => {
                self.name_value(table, value);
                key.as_mut()
            }
        };
        if let Some(key) = key {
            *key = self.rows.of(table, std::mem::take(key));
        }
    }

    fn name_value(&self, table: &TableView, (position, text): &mut (usize, String)) {
        let column = table.table.columns.get(*position);
        if let Some(place) = column.and_then(|column| self.place(table.name(), &column.name, text))
        {
            text.clone_from(place);
        }
    }

    /// The place of a value in a column.
    fn place(&self, table: &TableName, column: &str, text: &str) -> Option<&String> {
        self.values.get(&(table.clone(), column.to_owned(), text.to_owned()))
    }
}

/// The columns that an operation sets, and those that it sets to values chosen at each attempt.
struct Anew<'p> {
    /// All columns that are set.
    set: BTreeSet<&'p str>,
    /// Set to the present, or to a value computed from it.
    present: BTreeSet<&'p str>,
    /// Set to their defaults.
    defaults: BTreeSet<&'p str>,
}

impl<'p> Anew<'p> {
    fn of(plan: &'p Plan<'_>) -> Self {
        let mut anew =
            Self { set: BTreeSet::new(), present: BTreeSet::new(), defaults: BTreeSet::new() };
        plan.each_assigned(|column, assign| {
            anew.set.insert(&column.name);
            match assign {
                Assign::Now | Assign::FromNow(_) | Assign::Period(_) => {
                    anew.present.insert(&column.name)
                }
                Assign::Default => anew.defaults.insert(&column.name),
                _ => false,
            };
        });
        anew
    }

    /// Whether a column of a row, new or changed, holds such a value. A time in an existing row is one only if the
    /// operation set it, because others may have changed it meanwhile.
    fn is(&self, table: &TableView, position: usize, is_new: bool) -> bool {
        let column = &table.table.columns[position];
        let name = column.name.as_str();
        let by_default = self.defaults.contains(name) || is_new && !self.set.contains(name);
        let made = table.table.makes(position) && (is_new || by_default);
        self.present.contains(name) || by_default && column.data_type.is_moment() || made
    }
}

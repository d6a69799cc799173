//! What the operations of a transaction made themselves: rows, and values that PostgreSQL chooses anew at each
//! attempt, such as numbers, times and random keys. A confirmation refers to these by their places in the
//! transaction. It is bound to all other facts as they are.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};

use super::affected::{Affected, Fact, Values};
use crate::engine::transaction::Operation;
use crate::name::TableName;
use crate::plan::{Assign, Plan};
use crate::policy::TableView;

/// Rows and values that operations made, each with a text that names its place.
#[derive(Debug, Default)]
pub(in crate::engine) struct Made {
    /// Rows, by their table and key.
    rows: HashMap<(TableName, Values), String>,
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
        // A row of a table without a key cannot be distinguished from others.
        if table.row_key().is_some() {
            for (key, row) in &affected.added {
                let place = format!("$ref {index}.{row}");
                self.rows.insert((table.name().clone(), key.clone()), place);
            }
        }
        if !operation.writes() || operation.removes() {
            return;
        }
        let added = matches!(operation.plan, Plan::Insert(_));
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
            self.add_rekeyed(operation, row, format!("$ref {index}.{place}"));
        }
    }

    /// Adds a row that was given a key which was made.
    fn add_rekeyed(&mut self, operation: &Operation<'_>, row: &Map<String, Value>, place: String) {
        let table = operation.table();
        let changed = matches!(operation.plan, Plan::Change(_)) && table.row_key().is_some();
        let Some(key) = operation.key(row).filter(|_| changed) else { return };
        let set = Anew::of(&operation.plan).set;
        let is_made = |(position, text): &(usize, String)| {
            let name = table.table.columns[*position].name.as_str();
            set.contains(name) && self.place(table.name(), name, text).is_some()
        };
        if key.iter().any(is_made) {
            self.rows.entry((table.name().clone(), key)).or_insert(place);
        }
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

    /// Replaces what was made by its place, in a fact about a row of the table.
    pub(in crate::engine) fn name(&self, table: &TableView, fact: &mut Fact) {
        let (key, value) = match fact {
            Fact::Row(key, _) => (Some(key), None),
            Fact::Computed(key, values) => {
                values.iter_mut().for_each(|value| self.name_value(table, value));
                (Some(key), None)
            }
            Fact::Taken(key, value) => (key.as_mut(), Some(value)),
        };
        value.into_iter().for_each(|value| self.name_value(table, value));
        let Some(key) = key else { return };
        // A key that is a value made here may still be that of a row that existed.
        if let Some(place) = self.rows.get(&(table.name().clone(), key.clone())) {
            *key = vec![(0, place.clone())];
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

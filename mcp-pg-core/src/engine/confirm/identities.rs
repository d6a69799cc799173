//! Which row a key means, while the operations of a transaction add rows and change keys.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::affected::Values;
use crate::name::TableName;
use crate::policy::TableView;
use crate::schema::TableKind;

/// The identities of rows. A row that the transaction has added is identified by its place there, any other by the key
/// that it had at first, whatever keys they have now.
#[derive(Debug, Default)]
pub(super) struct Identities {
    /// By table and present key. A row that is not in here has the key that it had at first.
    rows: HashMap<TableName, HashMap<Values, Values>>,
    /// The tables in which keys have changed, and whether its rows are its own.
    moved: HashMap<TableName, bool>,
}

impl Identities {
    /// Adds a new row. Rows of a table without a key cannot be distinguished from others.
    pub(super) fn add(&mut self, table: &TableView, key: Values, place: String) {
        if table.row_key().is_some() {
            self.rows.entry(table.name().clone()).or_default().insert(key, vec![(0, place)]);
        }
    }

    pub(super) fn remove(&mut self, table: &TableView, key: &Values) {
        if let Some(rows) = self.rows.get_mut(table.name()) {
            rows.remove(key);
        }
    }

    /// Whether one of these columns is part of the table's key.
    pub(super) fn has_in_key(table: &TableView, columns: &BTreeSet<&str>) -> bool {
        let has = |position: &usize| columns.contains(table.table.columns[*position].name.as_str());
        table.row_key().is_some_and(|key| key.iter().any(has))
    }

    /// Gives rows that had the keys `before` their keys `after`, in whatever order, when the columns `set` were set.
    pub(super) fn change(
        &mut self,
        table: &TableView,
        set: &BTreeSet<&str>,
        before: Vec<Values>,
        after: Vec<Values>,
    ) {
        if table.row_key().is_none() {
            return;
        }
        let is_set = |position: &usize| set.contains(table.table.columns[*position].name.as_str());
        let had: HashSet<&Values> = before.iter().collect();
        let stay = !Self::has_in_key(table, set) && after.iter().all(|key| had.contains(key));
        if !stay || table.table.keys().any(|key| key.columns.iter().any(is_set)) {
            self.moved.insert(table.name().clone(), is_apart(table));
        }
        if stay {
            return;
        }
        // One row is the same. Several are told apart by the rest of their keys.
        let single = before.len() == 1 && after.len() == 1;
        let rest = |key: &Values| -> Values {
            key.iter().filter(|(position, _)| !single && !is_set(position)).cloned().collect()
        };
        let some_stay = before.len() > after.len();
        let rows = self.rows.entry(table.name().clone()).or_default();
        let mut known: HashMap<Values, Vec<Values>> = HashMap::new();
        for key in &before {
            let identity = rows.remove(key).unwrap_or_else(|| key.clone());
            known.entry(rest(key)).or_default().push(identity);
        }
        rows.extend(before.into_iter().filter(|_| some_stay).map(|key| (key, unsure())));
        let mut times: HashMap<Values, usize> = HashMap::new();
        after.iter().for_each(|key| *times.entry(rest(key)).or_default() += 1);
        for key in after {
            let rest = rest(&key);
            let identity = match known.get(&rest).map(Vec::as_slice) {
                Some([identity]) if times.get(&rest) == Some(&1) => identity.clone(),
                _ => unsure(),
            };
            rows.insert(key, identity);
        }
    }

    /// The identity of the row that has this key now.
    pub(super) fn of(&self, table: &TableView, key: Values) -> Values {
        let Some(row_key) = table.row_key() else { return key };
        let mut foreign = table.table.foreign_keys.iter().flat_map(|foreign| &foreign.columns);
        let follows = foreign.any(|column| row_key.contains(column));
        // Its rows may be those of another table, or have got other keys with those that they refer to.
        let unseen = |(other, apart): (&TableName, &bool)| {
            other != table.name() && (follows || !apart || !is_apart(table))
        };
        if self.moved.iter().any(unseen) {
            return unsure();
        }
        let known = self.rows.get(table.name()).and_then(|rows| rows.get(&key));
        known.cloned().unwrap_or(key)
    }
}

/// Whether no other table or view has rows of this one.
fn is_apart(table: &TableView) -> bool {
    let table = &table.table;
    matches!(table.kind, TableKind::Table | TableKind::PartitionedTable)
        && !table.has_heirs
        && table.ancestors.is_empty()
}

/// The identity of a row that may be any of several: never the same again, so that nothing is agreed to for it.
fn unsure() -> Values {
    vec![(0, format!("$unsure {}", uuid::Uuid::new_v4()))]
}

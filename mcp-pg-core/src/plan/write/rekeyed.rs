//! The columns by which later operations of a transaction may find rows that it wrote.

use std::collections::BTreeSet;

use super::assign::Assign;
use super::change::{ChangePlan, Effect};
use super::insert::InsertPlan;
use crate::plan::Operand;
use crate::schema::Column;

impl InsertPlan<'_> {
    /// Positions of the readable columns that tell its rows apart: those of keys, and others that the database fills.
    pub(crate) fn told(&self) -> Vec<usize> {
        let table = &self.table.table;
        let arbiter = || self.arbiter.iter().flat_map(|arbiter| &arbiter.columns);
        let tells = |position: &usize| {
            table.tells_apart(*position)
                || arbiter().any(|column| column.name == table.columns[*position].name)
        };
        self.table.readable_columns().filter(tells).collect()
    }
}

impl<'v> ChangePlan<'v> {
    /// Positions of the readable columns that tell rows apart after the change, if it may change their keys: those of
    /// keys. Where not all keys are known, as in a view, also columns that are set to values which the request does
    /// not contain, except times.
    pub(crate) fn rekeyed(&self) -> Vec<usize> {
        let table = &self.table.table;
        if matches!(self.effect, Effect::Remove) {
            return Vec::new();
        }
        let keys: BTreeSet<usize> =
            table.keys().flat_map(|key| key.columns.iter().copied()).collect();
        let sets = || self.effect.sets().flat_map(|(_, set)| set);
        let is_set = |column: &Column| sets().any(|(set, _)| set.name == column.name);
        let changes = |position: &usize| {
            let column = &table.columns[*position];
            column.generated.is_some() || is_set(column)
        };
        let unknown = !table.is_apart() || self.table.row_key().is_none();
        if !unknown && !table.fills_updates && !keys.iter().any(changes) {
            return Vec::new();
        }
        let open = |column: &Column| {
            unknown && sets().any(|(set, assign)| set.name == column.name && is_unknown(assign))
        };
        let covered = |position: &usize| keys.contains(position) || open(&table.columns[*position]);
        self.table.readable_columns().filter(covered).collect()
    }

    /// Sets a column, which the request sets to its default, to the value that the database generated for it before.
    pub(crate) fn generate_again(&mut self, column: &'v Column, value: String) {
        let Effect::Set(set) = &mut self.effect else { return };
        let mut known = set.iter_mut().filter(|(known, _)| known.name == column.name);
        if let Some((_, assign @ Assign::Default)) = known.next() {
            *assign = Assign::Again(Operand::own(Some(value)));
        }
    }
}

impl ChangePlan<'_> {
    /// Whether it sets a column to such a value.
    pub(crate) fn repeats(&self, column: &str) -> bool {
        let mut sets = self.effect.sets().flat_map(|(_, set)| set);
        sets.any(|(set, assign)| set.name == column && matches!(assign, Assign::Again(_)))
    }
}

/// Whether the value depends on what the request does not contain, except for the time.
fn is_unknown(assign: &Assign<'_>) -> bool {
    !matches!(assign, Assign::Value(_) | Assign::Now | Assign::FromNow(_) | Assign::Period(_))
}

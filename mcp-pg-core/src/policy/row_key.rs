//! What tells a table's rows apart, among the columns that the role may read.

use super::TableView;
use super::rights::Exposure;
use crate::schema::{Column, Key};

impl TableView {
    /// A key whose columns can all be used in conditions, have an order, and are never null: sorting by it is a total order.
    pub fn row_key(&self) -> Option<&[usize]> {
        let table = &self.table;
        let is_primary = |key: &Key| table.primary_key.as_ref() == Some(key);
        let never_null = |key: &&Key| {
            let mut columns = key.columns.iter().map(|position| &table.columns[*position]);
            is_primary(key) || columns.all(|column| !column.may_be_null)
        };
        self.sortable_keys().find(never_null).map(|key| key.columns.as_slice())
    }

    /// Like [`row_key`](Self::row_key), but several rows may have nulls in it.
    pub(crate) fn loose_key(&self) -> Option<&[usize]> {
        self.sortable_keys().next().map(|key| key.columns.as_slice())
    }

    fn sortable_keys(&self) -> impl Iterator<Item = &Key> {
        let sortable = |position: &usize| {
            let column = &self.table.columns[*position];
            column.can_select && column.data_type.ordering && !self.exposures[*position].closed
        };
        self.table.row_keys().filter(move |key| key.columns.iter().all(sortable))
    }

    /// The columns that give rows the same order each time: those of a key, else all that can be sorted by.
    pub fn steady_order(&self) -> Vec<usize> {
        let usable = |position: &usize| {
            let ordering = self.table.columns[*position].data_type.ordering;
            let Exposure { mask, closed, .. } = self.exposures[*position];
            ordering && !closed && mask.is_none()
        };
        match self.row_key() {
            Some(key) => key.to_vec(),
            None => self.readable_columns().filter(usable).collect(),
        }
    }

    /// For tables without a key: the readable columns that are not in [`steady_order`](Self::steady_order), which also tell rows
    /// apart. Some may be masked or encrypted.
    pub fn apart(&self) -> Vec<usize> {
        if self.row_key().is_some() {
            return Vec::new();
        }
        let steady = self.steady_order();
        self.readable_columns().filter(|position| !steady.contains(position)).collect()
    }

    /// What also tells rows apart where the role sees no key: the columns of a key that is hidden from it.
    pub(crate) fn hidden_key(&self) -> &[Column] {
        if self.row_key().is_some() { &[] } else { &self.hidden_key }
    }
}

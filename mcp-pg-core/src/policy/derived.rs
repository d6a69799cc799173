//! Derived tables: the groups and measures of an aggregate, from which a query selects as from any table.

use std::sync::Arc;

use super::rights::Exposure;
use super::{Marks, TableView};
use crate::schema::{Column, DataType, Key, Privileges, RowSecurity, Table, TableKind};

impl TableView {
    /// A derived table with columns by name, type and marks, of which the first `keys` identify its rows. It has the
    /// name of the table that it is made from.
    pub fn derived(
        from: &TableView,
        columns: impl IntoIterator<Item = (String, Arc<DataType>, Marks)>,
        keys: usize,
    ) -> Self {
        let columns = columns.into_iter().enumerate().map(|(index, (name, data_type, marks))| {
            (column(index, name, data_type), Exposure { marks, ..Exposure::default() })
        });
        let (columns, exposures): (Vec<Column>, Vec<Exposure>) = columns.unzip();
        let key = Key {
            name: String::new(),
            columns: (0..keys).collect(),
            arbiter: false,
            nulls_equal: true,
            comment: None,
        };
        let table = Table {
            name: from.table.name.clone(),
            oid: 0,
            kind: TableKind::View,
            comment: None,
            owner: String::new(),
            directives: Vec::new(),
            estimated_rows: None,
            of_extension: false,
            fills_rows: false,
            fills_updates: false,
            has_heirs: false,
            ancestors: Vec::new(),
            primary_key: (keys > 0).then_some(key),
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
            logical_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            row_security: RowSecurity::default(),
            privileges: Privileges::default(),
            columns,
        };
        let mut view = Self::whole(table);
        view.exposures = exposures;
        view.derived = true;
        view
    }
}

/// A read-only column, whose name in SQL text is its position.
fn column(index: usize, name: String, data_type: Arc<DataType>) -> Column {
    let identifier = "c".to_owned() + &index.to_string();
    Column::computed(name, identifier, data_type)
}

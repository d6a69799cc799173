//! A table that only one query has: the groups and measures of an aggregate, to be selected from like any other.

use std::sync::{Arc, LazyLock};

use super::rights::Exposure;
use super::{Marks, TableView};
use crate::schema::{Column, DataType, Key, Privileges, RowSecurity, Table, TableKind};

impl TableView {
    /// A table that only one query has: columns by name, type and marks, of which the first `keys` tell its rows
    /// apart. It goes by the name of the table that it is made from.
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
            fills_rows: false,
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

/// How many rows are related to one, as a column of a table that only its condition has.
pub fn counted() -> &'static Column {
    static COUNTED: LazyLock<Column> =
        LazyLock::new(|| column(0, "count".to_owned(), Arc::clone(DataType::bigint())));
    &COUNTED
}

/// A number that is computed from a row, as a column that only its condition has.
pub fn computed() -> &'static Column {
    static COMPUTED: LazyLock<Column> =
        LazyLock::new(|| column(0, "compute".to_owned(), Arc::clone(DataType::numeric())));
    &COMPUTED
}

/// The same of a number on the calendar or clock of a point in time.
pub fn part() -> &'static Column {
    static PART: LazyLock<Column> =
        LazyLock::new(|| column(0, "part".to_owned(), Arc::clone(DataType::numeric())));
    &PART
}

/// A column that can only be read; statements call it by its place.
fn column(index: usize, name: String, data_type: Arc<DataType>) -> Column {
    let identifier = "c".to_owned() + &index.to_string();
    Column::computed(name, identifier, data_type)
}

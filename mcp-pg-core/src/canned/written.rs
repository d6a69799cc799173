//! The rows that a query changes or deletes, if its columns identify them.

use super::query::{Query, Text};
use super::sql::Verb;
use crate::policy::Action;
use crate::schema::{Schema, Table};

impl Query {
    /// Positions of the columns that identify the changed or deleted rows: parts of primary keys. None for inserted
    /// rows, whose keys differ with each call.
    pub(crate) fn key_columns(&self) -> Vec<usize> {
        let adds = match &self.text {
            Text::Fixed { verb: Verb::Change(actions), .. } => actions.contains(Action::Insert),
            _ => true,
        };
        let columns = self.columns.iter().enumerate();
        columns.filter(|(_, column)| !adds && column.in_key).map(|(place, _)| place).collect()
    }

    /// The table in which the query changes or deletes rows without returning all columns of the primary key.
    pub fn untold<'s>(&self, schema: &'s Schema) -> Option<&'s Table> {
        let Text::Fixed { target: Some(target), .. } = &self.text else { return None };
        let tells = |table: &&Table| {
            let key = table.primary_key.as_ref();
            key.is_some_and(|key| key.columns.iter().all(|part| self.shows(table, *part)))
        };
        let mut tables = schema.tables.iter().filter(|table| table.name.name == *target);
        let first = tables.clone().next();
        first.filter(|_| !tables.any(|table| tells(&table)))
    }

    /// Whether any of its columns is this column of the table.
    fn shows(&self, table: &Table, position: usize) -> bool {
        let name = &table.columns[position].name;
        let mut origins = self.columns.iter().filter_map(|column| column.origin.as_ref());
        origins.any(|of| of.table == table.name && of.column == *name)
    }
}

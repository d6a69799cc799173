//! Which rows a query changes or deletes, if its columns identify them.

use super::query::{Query, Text};
use super::sql::Verb;
use crate::policy::Action;
use crate::schema::{Schema, Table};

impl Query {
    /// Positions of its columns that tell the rows which it changes or removes from others: parts of primary keys. Those that
    /// it adds have other keys each time.
    pub(crate) fn key_columns(&self) -> Vec<usize> {
        let adds = match &self.text {
            Text::Fixed { verb: Verb::Change(actions), .. } => actions.contains(Action::Insert),
            _ => true,
        };
        let columns = self.columns.iter().enumerate();
        columns.filter(|(_, column)| !adds && column.in_key).map(|(place, _)| place).collect()
    }

    /// The table that it changes or removes rows of without telling which: its columns have not all of the primary key.
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

    /// Whether one of its columns is this one of the table.
    fn shows(&self, table: &Table, position: usize) -> bool {
        let name = &table.columns[position].name;
        let mut origins = self.columns.iter().filter_map(|column| column.origin.as_ref());
        origins.any(|of| of.table == table.name && of.column == *name)
    }
}

//! The condition on the rows of a request, by where its parts come from.

use super::predicate::Predicate;
use crate::plan::Hop;
use crate::policy::TableView;
use crate::schema::Column;

/// The condition on the rows of a request: they meet all of its parts.
#[derive(Debug, Clone)]
pub struct RowFilter<'v> {
    /// The caller's condition.
    pub caller: Predicate<'v>,
    /// Whether archived rows are meant, or others.
    pub archive: Predicate<'v>,
    /// The row conditions of the role.
    pub role: Vec<Predicate<'v>>,
}

impl<'v> RowFilter<'v> {
    /// The filter of rows that neither an archive nor a role leaves out.
    pub(in crate::plan) fn of_caller(caller: Predicate<'v>) -> Self {
        Self { caller, archive: Predicate::always(), role: Vec::new() }
    }

    /// All parts.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Predicate<'v>> {
        self.requested().into_iter().chain(&self.role)
    }

    /// The parts that come from the request, not from the role.
    pub(crate) fn requested(&self) -> [&Predicate<'v>; 2] {
        [&self.caller, &self.archive]
    }

    /// Whether at most one row of the table can meet the condition, because it gives the value of each column of a
    /// key.
    pub(in crate::plan) fn is_single(&self, table: &TableView) -> bool {
        let definition = &table.table;
        // A deferrable key may hold duplicates until the commit.
        definition.row_keys().filter(|key| key.arbiter).any(|key| {
            key.columns.iter().all(|position| {
                definition.columns.get(*position).is_some_and(|column| self.fixes(column))
            })
        })
    }

    /// Whether the condition requires one value of the column.
    pub(crate) fn fixes(&self, wanted: &Column) -> bool {
        self.parts().any(|part| part.fixes(wanted))
    }

    /// Whether it leaves out rows with a value in the archive column.
    pub(crate) fn leaves_out(&self, archive: &Column) -> bool {
        self.parts().any(|part| part.is_null(archive))
    }

    /// The archive column, if the caller's condition tests it although archived rows are left out.
    pub(crate) fn beside_archive<'t>(&self, table: &'t TableView) -> Option<&'t Column> {
        let archive = table.archive.as_ref()?;
        let asks = !self.caller.is_null(archive) && self.caller.asks(archive);
        (self.leaves_out(archive) && asks).then_some(archive)
    }

    /// The hop to one row that must not exist according to the caller's condition, if there may be rows that do not exist for
    /// the caller alone.
    pub(crate) fn wants_none(&self) -> Option<&Hop<'_>> {
        self.caller.lacks()
    }
}

//! Columns that a grant lists as writable, but that cannot be written.

use super::rights::Rights;
use super::{Action, Role, Settings, Unfit};
use crate::schema::{Column, Privileges, Table};

impl Role {
    /// Whether callers can write the column, which the grant at a position lists as writable, or else why not. `None` if another
    /// grant decides on the table. PostgreSQL's own privileges are not considered.
    pub(crate) fn may_write(
        &self,
        position: usize,
        column: &str,
        table: &Table,
        settings: &Settings,
    ) -> Option<Result<(), &'static str>> {
        let open = unrestricted(table);
        let (_, column) = open.column(column)?;
        let rights = Rights::new(&open, self, settings, &Unfit::default());
        let grant = self.grants.get(position)?;
        let decides = |action| rights.grant(action).is_some_and(|first| std::ptr::eq(first, grant));
        if ![Action::Insert, Action::Update].into_iter().any(decides) {
            return None;
        }
        let sealed = rights.sealed();
        let cipher = sealed.get(&column.name).map(AsRef::as_ref);
        Some(
            rights
                .barred(column, cipher)
                .or_else(|| rights.barred_by(grant, column))
                .map_or(Ok(()), Err),
        )
    }

    /// A column that every new row needs but callers cannot set, so that they cannot insert rows, with the position of the grant
    /// that allows inserts.
    pub fn lacks<'t>(&self, table: &'t Table, settings: &Settings) -> Option<(usize, &'t Column)> {
        let lacking = Rights::new(table, self, settings, &Unfit::default()).lacking?;
        let (_, column) = table.column(&lacking.name)?;
        Some((self.deciding(Action::Insert, &table.name)?.0, column))
    }
}

/// The table as a login with all privileges sees it.
fn unrestricted(table: &Table) -> Table {
    let mut open = table.clone();
    open.privileges = Privileges {
        select: true,
        select_whole: true,
        insert: true,
        update: true,
        ..table.privileges
    };
    for column in &mut open.columns {
        (column.can_select, column.can_insert, column.can_update) = (true, true, true);
    }
    open
}

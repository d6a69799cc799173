//! Columns that a grant lists as writable, but that cannot be written.

use super::rights::Rights;
use super::{Action, Role, Settings, Unfit};
use crate::schema::{Column, Privileges, Table};

impl Role {
    /// Whether callers may write the column under the grant at a position, which lists it: `None` if another grant decides
    /// on the table, else the reason why not, if there is one. What PostgreSQL itself grants is left aside.
    pub fn may_write(
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

    /// The column for want of which callers can add no row to the table, and the position of the grant that lets them
    /// try, if so.
    pub fn lacks<'t>(&self, table: &'t Table, settings: &Settings) -> Option<(usize, &'t Column)> {
        let lacking = Rights::new(table, self, settings, &Unfit::default()).lacking?;
        let (_, column) = table.column(&lacking.name)?;
        Some((self.deciding(Action::Insert, &table.name)?.0, column))
    }
}

/// The table as it is to a login that may do everything.
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

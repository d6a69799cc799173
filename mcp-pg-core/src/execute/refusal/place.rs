//! What a failed statement was about, and which of PostgreSQL's words may be passed on.

use tokio_postgres::error::DbError;

use crate::error::below;
use crate::plan::Operand;
use crate::policy::{TableView, View};
use crate::schema::{Column, TableKind};

/// What a failed statement was about, so that its error can have a place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The caller's view.
    pub(crate) view: &'a View,
    /// The statement's table.
    pub(crate) table: &'a TableView,
    /// The place of the written values in the arguments: `/updates`, `/data`, `/data/3`.
    pub(crate) values: Option<&'a str>,
    /// The number of columns that it wrote, if any. Values for other purposes were used before the write.
    pub(crate) written: Option<usize>,
    /// The columns that an insert's rows give.
    pub(crate) given: Option<&'a [&'a Column]>,
    /// The columns of existing rows to which `on_conflict.update` gives values of its own, and whether a new row gives null.
    pub(crate) updated: &'a [(&'a Column, bool)],
    /// The statement's parameters, with their places.
    pub(crate) parameters: &'a [Operand],
}

impl Place<'_> {
    /// Whether the error is from the table itself, not from another one that a trigger writes to.
    pub(super) fn is_own(&self, answer: &DbError) -> bool {
        let name = self.table.name();
        answer.table() == Some(&name.name) && answer.schema() == Some(&name.schema)
    }

    /// Whether the error is from the table itself or, if it is a view, from the table whose columns it shows at these
    /// positions.
    pub(super) fn is_of(&self, answer: &DbError, columns: &[usize]) -> bool {
        let told = |position: &usize| {
            let column = self.table.table.columns.get(*position);
            column.and_then(|column| column.origin.as_ref()).is_some_and(|origin| {
                answer.table() == Some(&origin.table.name)
                    && answer.schema() == Some(&origin.table.schema)
            })
        };
        self.is_own(answer) || columns.iter().all(told)
    }

    /// Whether the error is from a table with another name, whose columns and constraints may have the same names:
    /// one that a trigger writes to, one beneath a view, or a partition.
    pub(super) fn is_elsewhere(&self, answer: &DbError) -> bool {
        self.table.table.kind == TableKind::Table
            && answer.table().is_some()
            && !self.is_own(answer)
    }

    /// Whether the caller gives a value for this column, as far as that is known.
    pub(super) fn writes(&self, name: &str) -> bool {
        let at = below(self.values.unwrap_or_default(), name);
        let within = |place: &str| {
            place.strip_prefix(&at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.parameters.iter().any(|operand| operand.place().is_some_and(within))
    }

    /// Whether `on_conflict.update` has a value of its own for the column, and if so, whether a new row gives null.
    pub(super) fn updates(&self, name: &str) -> Option<bool> {
        let mut updated = self.updated.iter();
        updated.find(|(column, _)| column.name == name).map(|(_, null)| *null)
    }

    /// Whether a new row gives the column a value, as far as that is known.
    pub(super) fn gives(&self, name: &str) -> bool {
        self.given.is_none_or(|given| given.iter().any(|column| column.name == name))
    }

    /// The place of the written values.
    pub(super) fn written(&self) -> String {
        self.values.unwrap_or_default().to_owned()
    }
}

/// A message of PostgreSQL, without control characters and shortened.
pub(super) fn shown(message: &str) -> String {
    const LONGEST: usize = 300;
    let mut out: String =
        crate::schema::clean(message).unwrap_or_default().chars().take(LONGEST).collect();
    if out.len() < message.len() && out.chars().count() == LONGEST {
        out.push('…');
    }
    out
}

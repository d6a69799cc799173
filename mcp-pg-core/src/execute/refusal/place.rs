//! What a failed statement was about, and what of PostgreSQL's words about it is told.

use tokio_postgres::error::DbError;

use crate::error::below;
use crate::plan::Operand;
use crate::policy::{TableView, View};
use crate::schema::{Column, TableKind};

/// What a failed statement was about, so that its error can say where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// What the caller may know.
    pub(crate) view: &'a View,
    /// The table.
    pub(crate) table: &'a TableView,
    /// Where the written values stand in the arguments: `/updates`, `/data`, `/data/3`.
    pub(crate) values: Option<&'a str>,
    /// How many columns of a row it wrote, if it did: what other values were for was done before.
    pub(crate) written: Option<usize>,
    /// The columns that the rows of an insert give.
    pub(crate) given: Option<&'a [&'a Column]>,
    /// The statement's parameters, each with its place.
    pub(crate) parameters: &'a [Operand],
}

impl Place<'_> {
    /// Whether it was the table itself that refused, not another one that a trigger writes to.
    pub(super) fn is_own(&self, answer: &DbError) -> bool {
        let name = self.table.name();
        answer.table() == Some(&name.name) && answer.schema() == Some(&name.schema)
    }

    /// Whether it was the table itself, or the one whose columns it shows here as a view.
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

    /// Whether another table refused, which a trigger writes to: it may have columns and rules of the same names.
    /// What is behind a view, and partitions, have other names than it, too.
    pub(super) fn is_elsewhere(&self, answer: &DbError) -> bool {
        self.table.table.kind == TableKind::Table
            && answer.table().is_some()
            && !self.is_own(answer)
    }

    /// Whether the caller gives this column a value, as far as that is known.
    pub(super) fn writes(&self, name: &str) -> bool {
        let at = below(self.values.unwrap_or_default(), name);
        let within = |place: &str| {
            place.strip_prefix(&at).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.parameters.iter().any(|operand| within(&operand.at))
    }

    /// Where the written values stand.
    pub(super) fn written(&self) -> String {
        self.values.unwrap_or_default().to_owned()
    }
}

/// A sentence of PostgreSQL's, without control characters and bounded.
pub(super) fn shown(message: &str) -> String {
    const LONGEST: usize = 300;
    let mut out: String =
        crate::schema::clean(message).unwrap_or_default().chars().take(LONGEST).collect();
    if out.len() < message.len() && out.chars().count() == LONGEST {
        out.push('…');
    }
    out
}

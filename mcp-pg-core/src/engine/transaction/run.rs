//! Runs an operation that writes within an open transaction.

use serde_json::{Map, Value};

use super::operation::{Operation, Part};
use crate::audit::{PART_MOST, Written};
use crate::engine::confirm::Affected;
use crate::engine::record::Record;
use crate::engine::{Engine, rows};
use crate::error::{Code, Error, Result};
use crate::execute::{Failure, Fetched, Keep, Transaction, texts};
use crate::plan::{Plan, Scope};
use crate::statement::Statement;

/// The result of an operation.
#[derive(Default)]
pub(in crate::engine) struct Done {
    /// The rows before the operation.
    pub(in crate::engine) before: Vec<Map<String, Value>>,
    /// The rows after the operation; deleted rows as they last were.
    pub(in crate::engine) after: Vec<Map<String, Value>>,
    /// The number of rows.
    pub(in crate::engine) count: u64,
    /// The rows that it was meant to write. A trigger may do something else with a row, which PostgreSQL does not
    /// count.
    pub(in crate::engine) affected: Affected,
    /// Whether `before` is incomplete.
    pub(in crate::engine) before_cut: bool,
    /// Whether `after` is incomplete.
    pub(in crate::engine) after_cut: bool,
    /// The included related rows of the rows that the reply shows, if requested.
    pub(in crate::engine) related: Option<Vec<Map<String, Value>>>,
    /// Notes for the caller.
    pub(in crate::engine) notes: Vec<String>,
}

/// The rows of earlier operations.
pub(in crate::engine) type Given = [Vec<Map<String, Value>>];

impl Engine {
    /// Runs a write in an open transaction, and checks that it did no more than it may.
    pub(in crate::engine) async fn operate(
        &self,
        transaction: &mut Transaction,
        scope: &Scope<'_>,
        operation: &Operation<'_>,
        given: &Given,
        record: &mut Record<'_>,
    ) -> Result<Done> {
        let run = Run { scope, operation, given, is_referred: true };
        let mut done = match &operation.plan {
            Plan::Insert(plan) => run.insert(transaction, plan, record).await?,
            Plan::Change(plan) => {
                let changed = run.change(transaction, plan, record).await;
                if changed.as_ref().is_err_and(|error| error.get_current().is_some()) {
                    record.sensitive_refusal(|| operation.plan.sensitive_of_rows());
                }
                changed?
            }
            Plan::Select(_) => return Err(Error::new(Code::Internal, "a select writes nothing")),
        };
        record.before(&done.before, done.before_cut);
        if !operation.removes() {
            record.after(&done.after, done.after_cut);
        }
        if !operation.at.is_empty() {
            let images = record.keeps_images();
            record.wrote(|| written(operation, &done, images));
        }
        record.rows(done.count);
        record.sensitive(|| operation.sensitive());
        done.notes.extend(operation.plan.doubt().filter(|_| done.count > 0));
        done.related = self.related(transaction, &run, &done.after, record).await?;
        Ok(done)
    }
}

/// What the operation of a transaction wrote, for its record, which has `images` of the rows or not.
fn written(operation: &Operation<'_>, done: &Done, images: bool) -> Written {
    let shown = |rows: &[_], shows: bool| if shows { rows.len() } else { 0 };
    Written {
        at: operation.at.clone(),
        operation: operation.action().to_string(),
        table: operation.table().name().to_string(),
        rows: done.count,
        before: shown(&done.before, images),
        after: shown(&done.after, images && !operation.removes()),
    }
}

/// Keeps all rows of a statement, within the transaction's limit.
pub(in crate::engine) const ALL: Keep = Keep::new(u64::MAX, usize::MAX);

/// The most bytes of rows that are kept only to show them: no more fit into a reply or an audit record.
pub(in crate::engine) fn image_room(scope: &Scope<'_>) -> usize {
    scope.view.limits.max_reply_bytes.max(4 * PART_MOST)
}

/// What all statements of an operation need.
pub(in crate::engine) struct Run<'r, 'v> {
    pub(in crate::engine) scope: &'r Scope<'r>,
    pub(in crate::engine) operation: &'r Operation<'v>,
    pub(in crate::engine) given: &'r Given,
    /// Whether other operations may take values of its rows.
    pub(in crate::engine) is_referred: bool,
}

impl Run<'_, '_> {
    pub(in crate::engine) async fn statement(
        &self,
        transaction: &mut Transaction,
        statement: &Statement<'_>,
        keep: Keep,
        record: &mut Record<'_>,
    ) -> Result<Fetched> {
        record.statement(&statement.sql);
        let parameters = texts(&statement.parameters, self.given)?;
        transaction.run(statement, &parameters, keep).await.map_err(|failure| {
            self.operation.refused(failure, self.scope, &statement.parameters, Part::Look)
        })
    }

    /// How many of the written rows are kept: all, if they are needed for more than to show them.
    pub(in crate::engine) fn kept(&self, record: &Record<'_>) -> Keep {
        let later = !self.operation.at.is_empty();
        match later || record.consent.is_some() || is_checked(self.operation) {
            true => ALL,
            false => Keep::new(ALL.rows, image_room(self.scope)),
        }
    }

    /// The error of a failure that no parameter caused.
    pub(in crate::engine) fn refused(&self, failure: Failure) -> Error {
        self.operation.refused(failure, self.scope, &[], Part::Look)
    }
}

/// Whether the rows that it writes must be covered by the caller's grant.
fn is_checked(operation: &Operation<'_>) -> bool {
    match &operation.plan {
        Plan::Insert(plan) => plan.is_checked(),
        Plan::Change(plan) => !plan.check.is_always(),
        Plan::Select(_) => false,
    }
}

/// Refuses rows that the caller's grant does not cover, according to the last output.
pub(in crate::engine) fn allowed(fetched: &Fetched, run: &Run<'_, '_>) -> Result<()> {
    if !is_checked(run.operation) {
        return Ok(());
    }
    let place = if let Plan::Insert(_) = run.operation.plan { "/data" } else { "/updates" };
    if fetched.too_large.is_some() {
        return Err(Error::new(
            Code::LimitExceeded,
            "the rows are too large to be checked against the caller's role at once",
        )
        .at(place));
    }
    if fetched.rows.iter().all(|row| row.last() == Some(&Value::Bool(true))) {
        return Ok(());
    }
    Err(Error::new(Code::Forbidden, "the caller's role may not write such a row").at(place))
}

/// Whether PostgreSQL refuses a value of a list, which one parameter holds, so that it does not say which value it is.
pub(in crate::engine) fn is_of_list(error: &Error, list: &str) -> bool {
    error.code() == Code::InvalidValue && error.get_at() == Some(list)
}

pub(in crate::engine) fn objects(
    statement: &Statement<'_>,
    rows: Vec<Vec<Value>>,
    width: usize,
) -> Vec<Map<String, Value>> {
    rows.into_iter().map(|row| rows::object(&statement.outputs, row, width)).collect()
}

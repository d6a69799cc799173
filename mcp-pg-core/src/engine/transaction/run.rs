//! An operation while it runs in an open transaction, and what it did.

use serde_json::{Map, Value};

use super::operation::{Operation, Part};
use crate::audit::PART_MOST;
use crate::engine::confirm::Affected;
use crate::engine::record::Record;
use crate::engine::{Engine, rows};
use crate::error::{Code, Error, Result};
use crate::execute::{Failure, Fetched, Keep, Transaction, texts};
use crate::plan::{Plan, Scope};
use crate::statement::Statement;

/// What an operation did.
#[derive(Default)]
pub(in crate::engine) struct Done {
    /// The rows before the operation.
    pub(in crate::engine) before: Vec<Map<String, Value>>,
    /// The rows after the operation; deleted ones, as they were last.
    pub(in crate::engine) after: Vec<Map<String, Value>>,
    /// How many rows there were.
    pub(in crate::engine) count: u64,
    /// The rows that it was meant for: a trigger may do something else with a row, which PostgreSQL does not count.
    pub(in crate::engine) affected: Affected,
    /// Whether there are more than `before` holds.
    pub(in crate::engine) before_cut: bool,
    /// Whether there are more than `after` holds.
    pub(in crate::engine) after_cut: bool,
    /// The included related rows of those that the reply shows, if any are requested.
    pub(in crate::engine) related: Option<Vec<Map<String, Value>>>,
    /// Notes for the caller.
    pub(in crate::engine) notes: Vec<String>,
}

/// The rows that earlier operations gave.
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
        let run = Run { scope, operation, given };
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
        record.rows(done.count);
        record.sensitive(|| operation.sensitive());
        done.notes.extend(operation.plan.doubt().filter(|_| done.count > 0));
        done.related = self.related(transaction, &run, &done.after, record).await?;
        Ok(done)
    }
}

/// All rows of a statement, as far as its transaction has room for them.
pub(in crate::engine) const ALL: Keep = Keep { rows: u64::MAX, bytes: usize::MAX };

/// Most bytes of the rows as they were that an operation reads to show them: more are neither in a reply nor in
/// the audit, which tells how much it leaves out as far as this.
pub(in crate::engine) fn image_room(scope: &Scope<'_>) -> usize {
    scope.view.limits.max_reply_bytes.max(4 * PART_MOST)
}

/// What the statements of an operation share.
pub(in crate::engine) struct Run<'r, 'v> {
    pub(in crate::engine) scope: &'r Scope<'r>,
    pub(in crate::engine) operation: &'r Operation<'v>,
    pub(in crate::engine) given: &'r Given,
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

    /// The error of a command that no parameter belongs to.
    pub(in crate::engine) fn refused(&self, failure: Failure) -> Error {
        self.operation.refused(failure, self.scope, &[], Part::Look)
    }
}

/// Refuses if a row is one that the caller's grant does not cover: the last output tells.
pub(in crate::engine) fn allowed(fetched: &Fetched, run: &Run<'_, '_>) -> Result<()> {
    let (place, is_checked) = match &run.operation.plan {
        Plan::Insert(plan) => ("/data", plan.is_checked()),
        Plan::Change(plan) => ("/updates", !plan.check.is_always()),
        Plan::Select(_) => return Ok(()),
    };
    if !is_checked {
        return Ok(());
    }
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

pub(in crate::engine) fn objects(
    statement: &Statement<'_>,
    rows: Vec<Vec<Value>>,
    width: usize,
) -> Vec<Map<String, Value>> {
    rows.into_iter().map(|row| rows::object(&statement.outputs, row, width)).collect()
}

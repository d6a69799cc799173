//! One operation: what is planned, and what it did.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::reached::Reached;
use super::read::{add_count, keep};
use super::record::Record;
use super::taken::Taken;
use super::{Engine, rows};
use crate::audit::PART_MOST;
use crate::error::{Code, Error, Result};
use crate::execute::{Failure, Fetched, Keep, Place, TooLarge, Transaction, refusal, texts};
use crate::plan::{
    ChangePlan, CursorKey, Effect, InsertPlan, Operand, Plan, Scope, SelectPlan, marked,
};
use crate::policy::{Action, TableView};
use crate::reply::RowSet;
use crate::request::Request;
use crate::statement::{self, Statement};

/// What a statement of an operation does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It looks which rows there are, or prepares for them.
    Look,
    /// It writes rows.
    Rows,
    /// It writes this row of those that are listed.
    Row(usize),
}

/// An operation in its place: its plan, and where its arguments stand.
pub(super) struct Operation<'v> {
    pub(super) plan: Plan<'v>,
    pub(super) at: String,
    /// Whether nothing of it is kept.
    pub(super) dry_run: bool,
    /// What its rows take from other columns.
    pub(super) taken: Taken,
}

/// What an operation did.
#[derive(Default)]
pub(super) struct Done {
    /// The rows as they were.
    pub(super) before: Vec<Map<String, Value>>,
    /// The rows as they are; for a delete, as they were last.
    pub(super) after: Vec<Map<String, Value>>,
    /// How many there were.
    pub(super) count: u64,
    /// How many it was about: a trigger may do something else with a row than what PostgreSQL counts.
    pub(super) reached: Reached,
    /// Whether there are more than `before` holds.
    pub(super) before_cut: bool,
    /// Whether there are more than `after` holds.
    pub(super) after_cut: bool,
    /// What is related to the rows that the reply shows, where that is asked for.
    pub(super) related: Option<Vec<Map<String, Value>>>,
    /// What the caller should know besides.
    pub(super) notes: Vec<String>,
}

/// The rows that earlier operations gave.
pub(super) type Given = [Vec<Map<String, Value>>];

impl<'v> Operation<'v> {
    pub(super) fn new(
        scope: &Scope<'v>,
        request: &'v Request,
        at: String,
        cursors: &CursorKey,
        derived: &'v OnceLock<Box<TableView>>,
    ) -> Result<Self> {
        let plan = match request {
            Request::Select(request) => {
                Plan::Select(SelectPlan::new(scope, request, cursors, derived)?)
            }
            Request::Aggregate(request) => {
                Plan::Select(SelectPlan::aggregate(scope, request, cursors, derived)?)
            }
            Request::Insert(request) => Plan::Insert(InsertPlan::new(scope, request)?),
            Request::Update(request) => Plan::Change(ChangePlan::update(scope, request)?),
            Request::Archive(request) => {
                Plan::Change(ChangePlan::archive(scope, request, Action::Archive)?)
            }
            Request::Restore(request) => {
                Plan::Change(ChangePlan::archive(scope, request, Action::Restore)?)
            }
            Request::Delete(request) => Plan::Change(ChangePlan::delete(scope, request)?),
            _ => return Err(Error::new(Code::Internal, "not an operation on rows")),
        };
        let taken = Taken::computed(&plan, plan.table());
        Ok(Self { dry_run: plan.dry_run(), plan, at, taken })
    }

    pub(super) fn table(&self) -> &'v TableView {
        self.plan.table()
    }

    pub(super) fn action(&self) -> Action {
        match &self.plan {
            Plan::Select(_) => Action::Select,
            Plan::Insert(_) => Action::Insert,
            Plan::Change(plan) => plan.action,
        }
    }

    pub(super) fn writes(&self) -> bool {
        !matches!(self.plan, Plan::Select(_))
    }

    /// Whether later operations can know values that outsiders wrote: those that it shows, and all of a row
    /// that it changes.
    pub(super) fn reads_untrusted(&self) -> bool {
        let table = self.table();
        // What a new row holds, the caller gave; not so what an existing one does.
        let existing = match &self.plan {
            Plan::Select(_) => false,
            Plan::Change(_) => true,
            Plan::Insert(plan) => plan.arbiter.is_some(),
        };
        let shown = match &self.plan {
            Plan::Select(plan) => plan.marked(|marks| marks.untrusted),
            Plan::Insert(_) | Plan::Change(_) => {
                marked(self.plan.includes(), |marks| marks.untrusted)
            }
        };
        !shown.is_empty()
            || self.taken.holds_untrusted()
            || existing && table.readable_columns().any(|column| table.marks(column).untrusted)
    }

    /// Names of the values that it shows of sensitive columns, or takes from them.
    fn sensitive(&self) -> Vec<String> {
        let mut names = self.plan.sensitive();
        for taken in self.taken.sensitive() {
            if !names.contains(&taken) {
                names.push(taken);
            }
        }
        names
    }

    pub(super) fn removes(&self) -> bool {
        matches!(&self.plan, Plan::Change(ChangePlan { effect: Effect::Remove, .. }))
    }

    /// How many rows it lists, each with a place of its own in the arguments.
    pub(super) fn listed(&self) -> Option<usize> {
        match &self.plan {
            Plan::Insert(plan) if plan.list => Some(plan.rows.len()),
            Plan::Change(plan) => Some(plan.effect.each()?.rows().count()),
            _ => None,
        }
    }

    /// Positions of the columns that its statement returns: all if `images` of the rows are wanted, or others
    /// may be. Later operations may refer to any column, and related rows are found by some.
    pub(super) fn returned(&self, images: bool) -> Vec<usize> {
        match images || !self.at.is_empty() || !self.plan.includes().is_empty() {
            true => self.table().readable_columns().collect(),
            false => {
                let mut seen = BTreeSet::new();
                let positions = self.plan.returning().iter().map(|returned| returned.position);
                positions.filter(|position| seen.insert(*position)).collect()
            }
        }
    }

    /// Whether nothing of the rows is asked for: in a transaction, later operations may.
    pub(super) fn returns_nothing(&self) -> bool {
        self.at.is_empty() && self.plan.returning().is_empty() && self.plan.includes().is_empty()
    }

    /// The error of a failed statement of this operation, which did this part of it.
    pub(super) fn refused(
        &self,
        failure: Failure,
        scope: &Scope<'_>,
        parameters: &[Operand],
        part: Part,
    ) -> Error {
        let (row, written) = match part {
            Part::Look => (None, None),
            Part::Rows => (None, self.plan.sets(None)),
            Part::Row(row) => (Some(row), self.plan.sets(Some(row))),
        };
        let values = match (&self.plan, row) {
            (Plan::Insert(_), Some(row)) => Some(format!("/data/{row}")),
            (Plan::Insert(_), None) => Some("/data".to_owned()),
            (Plan::Change(ChangePlan { action: Action::Update, .. }), Some(row)) => {
                Some(format!("/updates/{row}"))
            }
            (Plan::Change(ChangePlan { action: Action::Update, .. }), None) => {
                Some("/updates".to_owned())
            }
            _ => None,
        };
        // Columns that a row had to give, as far as the request did.
        let given = match &self.plan {
            Plan::Insert(plan) => Some(plan.columns.as_slice()),
            _ => None,
        };
        let place = Place {
            view: scope.view,
            table: self.table(),
            values: values.as_deref(),
            written,
            given,
            parameters,
        };
        refusal(failure, &place)
    }
}

impl Engine {
    /// Runs a write in an open transaction, and checks that it did no more than it may.
    pub(super) async fn operate(
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

    /// A select among the operations of a transaction: all rows of its page are there for later ones, those that
    /// there is `room` for are shown.
    pub(super) async fn select_within(
        &self,
        transaction: &mut Transaction,
        run: &Run<'_, '_>,
        plan: &SelectPlan<'_>,
        room: usize,
        record: &mut Record<'_>,
    ) -> Result<(RowSet, Vec<Map<String, Value>>)> {
        let scope = run.scope;
        let page = statement::select(plan, scope.view.texts());
        let mut fetched = run.statement(transaction, &page, keep(scope, plan), record).await?;
        let small = |row: TooLarge| row.bytes <= scope.view.limits.max_reply_bytes;
        if fetched.rows.is_empty() && fetched.too_large.is_some_and(small) {
            return Err(Error::new(
                Code::LimitExceeded,
                "the operations before this one hold all the rows that there is room for",
            )
            .hint("give them a smaller limit, or fewer columns"));
        }
        let limit = usize::try_from(plan.limit).unwrap_or(usize::MAX);
        let rows = fetched
            .rows
            .iter()
            .take(limit)
            .map(|row| rows::object(&page.outputs, row.clone(), plan.columns.len()))
            .collect();
        let fetched_rows = fetched.rows.len();
        if room < scope.view.limits.max_reply_bytes {
            let mut left = room;
            let fits = fetched.rows.iter().take_while(|row| {
                let row = rows::object(&page.outputs, row.to_vec(), page.outputs.len());
                let rest = left.checked_sub(Value::Object(row).to_string().len());
                left = rest.unwrap_or_default();
                rest.is_some()
            });
            let fits = fits.count();
            fetched.rows.truncate(fits);
        }
        let cut = fetched.rows.len() < fetched_rows.min(limit);
        if cut {
            // No row is too large by itself: earlier results took the room.
            fetched.too_large = None;
        }
        let mut set = self.page(scope, plan, &page, fetched)?;
        set.label_untrusted(plan.untrusted(&|column| run.operation.taken.is_untrusted(column)));
        if cut {
            set.notes.push("the results of a transaction share the room of one reply".to_owned());
        }
        if let Some(counting) = statement::counting(plan) {
            let counted = run.statement(transaction, &counting, ALL, record).await?;
            add_count(&mut set, plan, &counted);
        }
        record.rows(set.row_count);
        record.sensitive(|| run.operation.sensitive());
        Ok((set, rows))
    }
}

/// All rows of a statement, as far as its transaction has room for them.
pub(super) const ALL: Keep = Keep { rows: u64::MAX, bytes: usize::MAX };

/// Most bytes of the rows as they were that an operation reads to show them: more are neither in a reply nor in
/// the audit, which tells how much it leaves out as far as this.
pub(super) fn image_room(scope: &Scope<'_>) -> usize {
    scope.view.limits.max_reply_bytes.max(4 * PART_MOST)
}

/// What the statements of an operation share.
pub(super) struct Run<'r, 'v> {
    pub(super) scope: &'r Scope<'r>,
    pub(super) operation: &'r Operation<'v>,
    pub(super) given: &'r Given,
}

impl Run<'_, '_> {
    pub(super) async fn statement(
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
    pub(super) fn refused(&self, failure: Failure) -> Error {
        self.operation.refused(failure, self.scope, &[], Part::Look)
    }
}

/// Refuses if a row is one that the caller's grant does not cover: the last output tells.
pub(super) fn allowed(fetched: &Fetched, run: &Run<'_, '_>) -> Result<()> {
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

pub(super) fn objects(
    statement: &Statement<'_>,
    rows: Vec<Vec<Value>>,
    width: usize,
) -> Vec<Map<String, Value>> {
    rows.into_iter().map(|row| rows::object(&statement.outputs, row, width)).collect()
}

//! An operation of a transaction: its plan, and the place of its arguments.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::engine::write::{Provenance, still_null};
use crate::error::{Code, Error, Result};
use crate::execute::{Failure, Place, refusal};
use crate::plan::{
    Assign, ChangePlan, CursorKey, Effect, InsertPlan, Operand, Plan, Scope, SelectPlan, marked,
};
use crate::policy::{Action, TableView};
use crate::request::Request;
use crate::schema::{Column, Key};

/// The part of an operation that a statement performs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Part {
    /// Reads rows, or prepares the write.
    Look,
    /// Writes rows.
    Rows,
    /// Writes this one of the listed rows.
    Row(usize),
}

/// An operation: its plan, and the place of its arguments.
pub(in crate::engine) struct Operation<'v> {
    pub(in crate::engine) plan: Plan<'v>,
    pub(in crate::engine) at: String,
    /// Whether it is rolled back.
    pub(in crate::engine) dry_run: bool,
    /// The columns from which its rows take values.
    pub(in crate::engine) provenance: Provenance,
    /// Whether later operations of the transaction may find its rows by their keys, and change them.
    pub(in crate::engine) is_followed: bool,
}

impl<'v> Operation<'v> {
    pub(in crate::engine) fn new(
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
        let provenance = Provenance::computed(&plan, plan.table());
        Ok(Self { dry_run: plan.dry_run(), plan, at, provenance, is_followed: false })
    }

    pub(in crate::engine) fn table(&self) -> &'v TableView {
        self.plan.table()
    }

    pub(in crate::engine) fn action(&self) -> Action {
        match &self.plan {
            Plan::Select(_) => Action::Select,
            Plan::Insert(_) => Action::Insert,
            Plan::Change(plan) => plan.action,
        }
    }

    pub(in crate::engine) fn writes(&self) -> bool {
        !matches!(self.plan, Plan::Select(_))
    }

    /// Whether later operations may depend on values that outsiders wrote: those that it shows, and all of a row that
    /// it changes.
    pub(in crate::engine) fn reads_untrusted(&self) -> bool {
        let table = self.table();
        // The values of a new row come from the caller; those of an existing row do not.
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
            || self.provenance.holds_untrusted()
            || existing && table.readable_columns().any(|column| table.marks(column).untrusted)
    }

    /// The names of sensitive columns that it shows or takes values from.
    pub(super) fn sensitive(&self) -> Vec<String> {
        let mut names = self.plan.sensitive();
        for taken in self.provenance.sensitive() {
            if !names.contains(&taken) {
                names.push(taken);
            }
        }
        names
    }

    /// Whether it may change rows that an `earlier` operation wrote, or rows that got other keys with those.
    pub(in crate::engine) fn follows(&self, earlier: &Operation<'_>) -> bool {
        let changes = match &self.plan {
            Plan::Select(_) => false,
            Plan::Insert(plan) => {
                plan.arbiter.as_ref().is_some_and(|arbiter| !arbiter.set.is_empty())
            }
            Plan::Change(_) => true,
        };
        let (table, other) = (&self.table().table, &earlier.table().table);
        let meets = match &earlier.plan {
            Plan::Select(_) => false,
            // An upsert that changes keys changes those of rows that refer to them, too.
            Plan::Insert(plan) if plan.arbiter.as_ref().is_none_or(|met| met.set.is_empty()) => {
                table.name == other.name || !table.is_apart() || !other.is_apart()
            }
            Plan::Insert(_) | Plan::Change(_) => true,
        };
        changes && meets
    }

    /// Whether the database generates the value of this column of its row at an index.
    pub(in crate::engine) fn generates(&self, row: usize, column: &Column) -> bool {
        match &self.plan {
            Plan::Select(_) => false,
            Plan::Insert(plan) => {
                let place = plan.columns.iter().position(|known| known.name == column.name);
                let assign = place.and_then(|place| plan.rows.get(row)?.get(place));
                assign.is_none_or(Assign::is_generated)
            }
            Plan::Change(plan) => {
                let mut sets = plan.effect.sets().flat_map(|(_, set)| set);
                sets.any(|(set, assign)| set.name == column.name && assign.is_generated())
            }
        }
    }

    pub(in crate::engine) fn removes(&self) -> bool {
        matches!(&self.plan, Plan::Change(ChangePlan { effect: Effect::Remove, .. }))
    }

    /// The number of rows that it lists, each with a place of its own in the arguments.
    pub(in crate::engine) fn listed(&self) -> Option<usize> {
        match &self.plan {
            Plan::Insert(plan) if plan.list => Some(plan.rows.len()),
            Plan::Change(plan) => Some(plan.effect.each()?.rows().count()),
            _ => None,
        }
    }

    /// Positions of the columns that its statement returns: the requested ones, or all readable ones if they may be
    /// needed for `images`, for references of later operations or for related rows. Notes may need some, too.
    pub(in crate::engine) fn returned(&self, images: bool) -> Vec<usize> {
        match images || !self.at.is_empty() || !self.plan.includes().is_empty() {
            true => self.table().readable_columns().collect(),
            false => {
                let mut seen = BTreeSet::new();
                let positions = self.plan.returning().iter().map(|returned| returned.position);
                let positions = positions.chain(still_null(&self.plan));
                positions.filter(|position| seen.insert(*position)).collect()
            }
        }
    }

    /// Whether its rows would be empty objects in the reply, although the table has columns.
    pub(in crate::engine) fn shows_nothing(&self) -> bool {
        self.asks_for_nothing() && !self.table().table.columns.is_empty()
    }

    fn asks_for_nothing(&self) -> bool {
        self.plan.returning().is_empty() && self.plan.includes().is_empty()
    }

    /// Whether no values of its rows are needed. In a transaction, later operations may refer to them.
    pub(in crate::engine) fn returns_nothing(&self) -> bool {
        self.at.is_empty() && self.asks_for_nothing()
    }

    /// The error of a failed statement that performs this part of the operation.
    pub(in crate::engine) fn refused(
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
        // The columns that each row has to give, as far as the request does.
        let given = match &self.plan {
            Plan::Insert(plan) => Some(plan.given(row)),
            _ => None,
        };
        let updated = match &self.plan {
            Plan::Insert(plan) => plan.updated(),
            _ => Vec::new(),
        };
        let place = Place {
            view: scope.view,
            table: self.table(),
            values: values.as_deref(),
            written,
            given: given.as_deref(),
            updated: &updated,
            parameters,
        };
        let error = refusal(failure, &place);
        if self.is_taken(&error, row) { taken(&error) } else { error }
    }

    /// Whether the refusal is due to a key that the database generated before the user was asked, and that exists by now.
    fn is_taken(&self, error: &Error, row: Option<usize>) -> bool {
        let table = &self.table().table;
        let is_refused = |key: &&Key| {
            error.code() == Code::UniqueViolation && error.get_constraint() == Some(&key.name)
        };
        let mut columns = table.keys().filter(is_refused).flat_map(|key| &key.columns);
        columns.any(|column| self.plan.repeats(row, &table.columns[*column].name))
    }
}

/// The refusal of such a key: it is no fault of the request, and another one is generated next time.
fn taken(refused: &Error) -> Error {
    let message = "the key that the database generated before the user was asked is taken: rows came in between";
    let error = Error::new(Code::UniqueViolation, message)
        .hint("call again, without what was agreed to: the user is asked about another key")
        .retryable(true);
    let error = match refused.get_sqlstate() {
        Some(state) => error.sqlstate(state),
        None => error,
    };
    match refused.get_constraint() {
        Some(name) => error.constraint(name),
        None => error,
    }
}

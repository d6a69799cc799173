//! Requests → plans: every name resolved to a catalogue entry, every value checked and encoded.
//!
//! A plan can only be made from a [`View`](crate::policy::View), so it cannot contain what the role may not see.
//! Knows no SQL.

mod advice;
mod aggregate;
mod condition;
mod expression;
pub(crate) mod grammar;
mod granted;
mod hop;
mod label;
mod marked;
mod misfit;
mod node;
mod operand;
mod order;
mod read;
mod reference;
mod scope;
mod shape;
mod write;

pub use aggregate::{Function, Group, Grouping, Measure, Unnested};
pub use condition::{Comparison, Predicate, Quantifier, RowFilter, Words, filter};
pub(crate) use expression::operation::names as operations;
pub use expression::{
    ARITHMETIC_MOST, Arithmetic, Clock, Cut, DIGITS, End, Expression, Moved, Now, Period, Reached,
    Slot, Total, Unit,
};
pub use hop::Hop;
pub use marked::marked;
pub use misfit::Misfit;
pub(crate) use node::{Node, Test};
pub use operand::{Operand, Source};
pub use order::{Sort, SortKey};
pub(crate) use read::WIRE_MOST;
pub use read::{
    After, Computed, Cursor, CursorKey, Include, Query, Room, SelectPlan, Shown, Start,
};
pub use reference::{Earlier, Reference};
pub use scope::Scope;
pub use shape::Shape;
pub use write::{
    Arbiter, Assign, ChangePlan, Dotted, Each, Effect, InsertPlan, NamedRow, Overwrite, Put,
    Returned, Written,
};

use crate::policy::TableView;
use crate::schema::Column;

/// What a request does, before it is SQL.
#[derive(Debug, Clone)]
pub enum Plan<'v> {
    /// Read rows.
    Select(SelectPlan<'v>),
    /// Add rows.
    Insert(InsertPlan<'v>),
    /// Change or delete rows.
    Change(ChangePlan<'v>),
}

impl<'v> Plan<'v> {
    /// The table whose rows are read or written.
    pub fn table(&self) -> &'v TableView {
        match self {
            Plan::Select(plan) => plan.table,
            Plan::Insert(plan) => plan.table,
            Plan::Change(plan) => plan.table,
        }
    }

    /// The columns to return of written rows.
    pub fn returning(&self) -> &[Returned] {
        match self {
            Plan::Select(_) => &[],
            Plan::Insert(plan) => &plan.returning,
            Plan::Change(plan) => &plan.returning,
        }
    }

    /// The columns to return of rows related to written ones.
    pub fn dotted(&self) -> &[Dotted] {
        match self {
            Plan::Select(_) => &[],
            Plan::Insert(plan) => &plan.dotted,
            Plan::Change(plan) => &plan.dotted,
        }
    }

    /// Related rows to return with each written row.
    pub fn includes(&self) -> &[Include<'v>] {
        match self {
            Plan::Select(_) => &[],
            Plan::Insert(plan) => &plan.includes,
            Plan::Change(plan) => &plan.includes,
        }
    }

    /// Whether the write is rolled back in the end.
    pub fn dry_run(&self) -> bool {
        match self {
            Plan::Select(_) => false,
            Plan::Insert(plan) => plan.dry_run,
            Plan::Change(plan) => plan.dry_run,
        }
    }

    /// The columns that are set to computed values, each with its expression.
    pub fn computed(&self) -> Vec<(&'v Column, &Expression<'v>)> {
        let overwritten = match self {
            Plan::Select(_) => None,
            Plan::Insert(plan) => plan.arbiter.as_ref().map(|arbiter| &arbiter.set),
            Plan::Change(plan) => return plan.computed(),
        };
        let overwritten = overwritten.into_iter().flatten();
        let computed = overwritten.filter_map(|(column, overwrite)| match overwrite {
            Overwrite::Assign(assign) => Some((*column, assign.computed()?)),
            Overwrite::Given | Overwrite::Added => None,
        });
        computed.collect()
    }

    /// Calls `look` for each assignment to a column, in all rows.
    pub(crate) fn each_assigned<'p>(&'p self, mut look: impl FnMut(&'v Column, &'p Assign<'v>)) {
        match self {
            Plan::Select(_) => {}
            Plan::Insert(plan) => {
                for row in &plan.rows {
                    let set = plan.columns.iter().zip(row);
                    set.for_each(|(column, assign)| look(column, assign));
                }
                for (column, overwrite) in plan.arbiter.iter().flat_map(|arbiter| &arbiter.set) {
                    if let Overwrite::Assign(assign) = overwrite {
                        look(column, assign);
                    }
                }
            }
            Plan::Change(plan) => {
                let set = plan.effect.sets().flat_map(|(_, set)| set);
                set.for_each(|(column, assign)| look(column, assign));
            }
        }
    }

    /// The number of columns that a row's statement sets: those of this row, if the request lists rows with different
    /// values.
    pub fn sets(&self, row: Option<usize>) -> Option<usize> {
        match self {
            Plan::Select(_) => None,
            Plan::Insert(plan) => Some(plan.columns.len()),
            Plan::Change(ChangePlan { effect: Effect::Set(set), .. }) => Some(set.len()),
            Plan::Change(ChangePlan { effect: Effect::SetEach(each), .. }) => {
                each.rows().find(|known| Some(known.index) == row).map(|known| known.set.len())
            }
            Plan::Change(ChangePlan { effect: Effect::Remove, .. }) => None,
        }
    }

    /// Whether it gives a column what the database generated for it before: in the row with this index, or in any.
    pub(crate) fn repeats(&self, row: Option<usize>, column: &str) -> bool {
        match self {
            Plan::Select(_) => false,
            Plan::Insert(plan) => plan.repeats(row, column),
            Plan::Change(plan) => plan.repeats(column),
        }
    }
}

//! Requests → plans: every name resolved to a catalogue entry, every value checked and encoded.
//!
//! A plan can be made only from a [`View`](crate::policy::View), so it cannot name what the role may not
//! see. Knows no SQL.

mod advice;
mod aggregate;
mod condition;
mod expression;
mod hop;
mod marked;
mod misfit;
mod operand;
mod order;
mod read;
mod scope;
mod shape;
mod taken;
mod write;

pub use aggregate::{Function, Group, Grouping, Measure};
pub use condition::{Compared, Comparison, Predicate, Quantifier, Words, filter};
pub use expression::{Arithmetic, Clock, Cut, Expression, Now, Point, Reached, Unit};
pub use hop::Hop;
pub use marked::marked;
pub use misfit::Misfit;
pub use operand::{Operand, Reference, Source};
pub use order::{Counted, Measured, Sort};
pub use read::{After, Computed, Cursor, CursorKey, Include, Query, SelectPlan, Shown, Start};
pub use scope::{Earlier, Scope};
pub use shape::Shape;
pub use write::{
    Arbiter, Assign, ChangePlan, Each, Effect, InsertPlan, NamedRow, Overwrite, Put, Returned,
    Written,
};

/// What the server has decided to do, before it is SQL.
#[derive(Debug, Clone)]
pub enum Plan<'v> {
    /// Read rows.
    Select(SelectPlan<'v>),
    /// Add rows.
    Insert(InsertPlan<'v>),
    /// Change or remove rows.
    Change(ChangePlan<'v>),
}

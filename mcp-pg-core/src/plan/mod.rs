//! Requests → plans: every name resolved to a catalogue entry, every value checked and encoded.
//!
//! A plan can be made only from a [`View`](crate::policy::View), so it cannot name what the role may not
//! see. Knows no SQL.

mod advice;
mod aggregate;
mod arbiter;
mod assign;
mod change;
mod combined;
mod compared;
mod comparison;
mod computation;
mod counted;
mod cursor;
mod cut;
mod doubt;
mod each;
mod element;
mod expression;
mod filter;
mod hop;
mod include;
mod insert;
mod labelled;
mod marked;
mod measure;
mod midnight;
mod misfit;
mod now;
mod operand;
mod order;
mod pattern;
mod predicate;
mod reached;
mod returned;
mod scope;
mod sealed;
mod select;
mod shape;
mod shown;
mod start;
mod taken;
mod tested;
mod unit;
mod whole;
mod words;

pub use aggregate::{Group, Grouping};
pub use arbiter::{Arbiter, Overwrite};
pub use assign::{Assign, Put, Written};
pub use change::{ChangePlan, Effect};
pub use compared::Compared;
pub use comparison::Comparison;
pub use counted::Counted;
pub use cursor::{Cursor, CursorKey};
pub use cut::Cut;
pub use each::{Each, NamedRow};
pub use expression::{Arithmetic, Expression, Point};
pub use filter::filter;
pub use hop::Hop;
pub use include::Include;
pub use insert::InsertPlan;
pub use marked::marked;
pub use measure::{Function, Measure};
pub use misfit::Misfit;
pub use now::{Clock, Now};
pub use operand::{Operand, Reference, Source};
pub use order::{Measured, Sort};
pub use predicate::{Predicate, Quantifier};
pub use reached::Reached;
pub use returned::Returned;
pub use scope::{Earlier, Scope};
pub use select::{Query, SelectPlan};
pub use shape::Shape;
pub use shown::{Computed, Shown};
pub use start::{After, Start};
pub use unit::Unit;
pub use words::Words;

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

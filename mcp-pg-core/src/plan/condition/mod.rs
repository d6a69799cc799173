//! Conditions: a tree of tests, read from a `where` object.

pub(super) mod area;
mod compared;
mod comparison;
pub(super) mod computed;
mod document;
pub(super) mod filter;
mod fraction;
mod listed;
pub(super) mod pattern;
mod predicate;
mod restriction;
mod row_filter;
pub(super) mod sealed;
mod search;
mod sought;

pub use comparison::Comparison;
pub use filter::filter;
pub use predicate::{Predicate, Quantifier};
pub use row_filter::RowFilter;
pub use search::Words;

//! Sort keys: columns, computed values, and counts of related rows.

mod computed;
mod counted;
pub(super) mod sort;

pub use sort::{Sort, SortKey};

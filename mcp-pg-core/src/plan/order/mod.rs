//! What rows are sorted by.

mod computed;
mod counted;
pub(super) mod sort;

pub use counted::Counted;
pub use sort::{Sort, SortKey};

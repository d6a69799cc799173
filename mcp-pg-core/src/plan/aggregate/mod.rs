//! Groups of rows, and what is measured of each.

mod combined;
pub(super) mod element;
pub(super) mod grouping;
pub(super) mod measure;
mod share;
mod width;

pub use element::Unnested;
pub use grouping::{Group, Grouping};
pub use measure::{Function, Measure};

//! What the benchmarks measure against, and how they print what they found.

pub mod film;
pub mod report;
pub mod wide;

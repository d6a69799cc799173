//! What the benchmarks measure against.

pub mod wide;

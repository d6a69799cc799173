//! Values of every type: what is read, and that it can be written back.

mod form;
mod round_trip;

const FIXTURE: &str = include_str!("../../../fixtures/torture.sql");

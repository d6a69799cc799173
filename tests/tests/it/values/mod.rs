//! Values of every type can be read and written back.

mod form;
mod round_trip;

const FIXTURE: &str = include_str!("../../../fixtures/torture.sql");

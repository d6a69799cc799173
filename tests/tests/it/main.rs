//! Tests of the whole, a module a feature.

mod aggregate;
mod filters;
mod include;
mod paging;
mod values;
mod views;
mod writes;

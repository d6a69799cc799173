//! Tests of the whole, a module a feature.

mod aggregate;
mod catalogue;
mod describe;
mod filters;
mod include;
mod insert;
mod paging;
mod real_databases;
mod schema;
mod values;
mod views;
mod writes;

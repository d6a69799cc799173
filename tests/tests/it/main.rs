//! Tests of the whole, a module a feature.

mod aggregate;
mod archive;
mod audit;
mod bad_input;
mod concurrency;
mod delete;
mod include;
mod insert;
mod outage;
mod reads;
mod schema;
mod transaction;
mod update;

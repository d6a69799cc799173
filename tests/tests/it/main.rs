//! Tests of the whole, a module a feature.

mod aggregate;
mod archive;
mod concurrency;
mod delete;
mod include;
mod insert;
mod reads;
mod schema;
mod transaction;
mod update;

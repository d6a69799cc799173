//! Tests of the whole, a module a feature.

mod aggregate;
mod include;
mod insert;
mod reads;
mod schema;
mod writes;

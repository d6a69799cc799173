//! Tests of the whole, a module a feature.

mod aggregate;
mod archive;
mod delete;
mod include;
mod insert;
mod reads;
mod update;
mod writes;

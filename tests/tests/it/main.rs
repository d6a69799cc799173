//! Tests of the whole, a module a feature.

mod include;
mod insert;
mod reads;
mod writes;

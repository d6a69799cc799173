//! Tests of the whole, a module a feature.

mod include;
mod reads;
mod writes;

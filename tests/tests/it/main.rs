//! Tests of the whole, a module a feature.

mod aggregate;
mod include;
mod reads;
mod values;
mod writes;

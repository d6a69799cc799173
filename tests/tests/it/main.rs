//! Tests of the whole, a module a feature.

mod reads;
mod values;
mod writes;

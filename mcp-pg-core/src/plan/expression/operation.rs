//! The operations that requests have names for: arithmetic, and totals of related rows.

use serde_json::{Map, Value};

use super::arithmetic::Arithmetic;
use super::total::Total;
use crate::plan::Function;
use crate::plan::grammar::{UNIT, WHERE};

/// An operation that an object asks for.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    /// Arithmetic.
    Arithmetic(Arithmetic),
    /// A total of related rows.
    Total(Function),
}

impl Operation {
    /// The operation that an object asks for, and its name.
    pub(super) fn asked(object: &Map<String, Value>) -> Option<(&'static str, Self)> {
        let arithmetic = Arithmetic::asked(object).map(|(name, of)| (name, Self::Arithmetic(of)));
        arithmetic.or_else(|| Total::asked(object).map(|(name, of)| (name, Self::Total(of))))
    }
}

/// The members of an object that say what is computed: the operation, and what may stand beside it. `None` if the
/// object asks for no operation.
pub(in crate::plan) fn members(object: &Map<String, Value>) -> Option<[&'static str; 2]> {
    Operation::asked(object).map(|(name, operation)| match operation {
        Operation::Arithmetic(_) => [name, UNIT],
        Operation::Total(_) => [name, WHERE],
    })
}

/// The names of all operations.
pub(crate) fn names() -> impl Iterator<Item = &'static str> + Clone {
    Arithmetic::names().chain(Total::names())
}

//! Whether a condition tests something, so that it may say which rows are written.

use super::comparison::Comparison;
use super::predicate::{Predicate, Quantifier};
use crate::plan::{Operand, Source};
use crate::schema::Operator;

impl Predicate<'_> {
    /// Whether each alternative of the condition tests something: a value or a related row.
    pub fn restricts(&self) -> bool {
        match self {
            Predicate::All(parts) => parts.iter().any(Predicate::restricts),
            Predicate::Any(parts) => parts.iter().all(Predicate::restricts),
            Predicate::Not(inner) => inner.restricts() && inner.admits(),
            Predicate::Related { quantifier: Quantifier::Every, filter, .. } => filter.restricts(),
            Predicate::Related { quantifier: Quantifier::None, filter, .. } => filter.admits(),
            Predicate::Test { comparison, .. } | Predicate::Computed { comparison, .. } => {
                comparison.restricts()
            }
            Predicate::Compared { .. } | Predicate::Related { .. } => true,
        }
    }

    /// Whether any row can meet it.
    fn admits(&self) -> bool {
        match self {
            Predicate::All(parts) => parts.iter().all(Predicate::admits),
            Predicate::Any(parts) => parts.iter().any(Predicate::admits),
            Predicate::Related { quantifier: Quantifier::Some, filter, .. } => filter.admits(),
            Predicate::Test { comparison, .. } | Predicate::Computed { comparison, .. } => {
                comparison.admits()
            }
            _ => true,
        }
    }

    /// Whether every row meets it.
    pub(crate) fn is_always(&self) -> bool {
        matches!(self, Predicate::All(parts) if parts.iter().all(Predicate::is_always))
    }
}

impl Comparison {
    /// The same of the value's test, which may consist of several.
    fn restricts(&self) -> bool {
        match self {
            Comparison::All(parts) => parts.iter().any(Comparison::restricts),
            Comparison::Any(parts) => parts.iter().all(Comparison::restricts),
            Comparison::Not(inner) => inner.restricts() && inner.admits(),
            // Every text contains the empty text.
            Comparison::Binary(Operator::Like | Operator::Ilike, Operand { source, .. }) => {
                !matches!(source, Source::Text(Some(pattern)) if pattern.bytes().all(|c| c == b'%'))
            }
            _ => true,
        }
    }

    /// Whether any value can pass it.
    fn admits(&self) -> bool {
        match self {
            Comparison::All(parts) => parts.iter().all(Comparison::admits),
            Comparison::Any(parts) => parts.iter().any(Comparison::admits),
            _ => true,
        }
    }
}

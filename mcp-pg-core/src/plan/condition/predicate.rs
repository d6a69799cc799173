//! Predicates: a tree of tests on columns and related rows.

use crate::plan::{Comparison, Expression, Hop, Operand, Reached, Slot};
use crate::schema::{Column, DataType, Operator};

/// A condition on a row.
#[derive(Debug, Clone)]
pub enum Predicate<'v> {
    /// All hold; true if there are none.
    All(Vec<Predicate<'v>>),
    /// At least one holds; false if there are none.
    Any(Vec<Predicate<'v>>),
    /// It does not hold.
    Not(Box<Predicate<'v>>),
    /// A column's value passes a test.
    Test {
        /// The column, or a part of what it holds.
        column: Slot<'v>,
        /// The path to a part of a JSON value, as a `text[]`.
        path: Option<Operand>,
        /// The test.
        comparison: Comparison,
    },
    /// A value computed from a row, or the number of related rows, passes a test.
    Computed {
        /// The value.
        value: Box<Expression<'v>>,
        /// The test; of a number of related rows, it may consist of several.
        comparison: Comparison,
    },
    /// A comparison between two values.
    Compared {
        /// The left side.
        left: Box<Expression<'v>>,
        /// The operator.
        operator: Operator,
        /// The right side.
        right: Box<Expression<'v>>,
    },
    /// Related rows pass a condition.
    Related {
        /// The way to them.
        hop: Box<Hop<'v>>,
        /// How many of the rows.
        quantifier: Quantifier,
        /// The condition.
        filter: Box<Predicate<'v>>,
    },
}

impl Predicate<'_> {
    /// The condition that all rows meet.
    pub fn always() -> Self {
        Self::All(Vec::new())
    }

    /// The condition that no row meets.
    pub fn never() -> Self {
        Self::Any(Vec::new())
    }

    /// Whether it has no parts, so that every row meets it.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Predicate::All(parts) if parts.is_empty())
    }

    /// The part of it that every row must meet and that uses only columns of the row itself.
    pub(crate) fn own_part(&self) -> Vec<&Self> {
        match self {
            Predicate::All(parts) => parts.iter().flat_map(Predicate::own_part).collect(),
            own if own.is_own() => vec![own],
            _ => Vec::new(),
        }
    }

    /// Whether it is likely to leave few rows: it compares with values or patterns.
    pub(crate) fn is_selective(&self) -> bool {
        match self {
            Predicate::All(parts) => parts.iter().any(Predicate::is_selective),
            Predicate::Any(parts) => parts.iter().all(Predicate::is_selective),
            Predicate::Test { column, comparison, .. } => {
                column.data_type.base().oid != DataType::boolean().oid && comparison.is_selective()
            }
            _ => false,
        }
    }

    fn is_own(&self) -> bool {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => parts.iter().all(Predicate::is_own),
            Predicate::Not(inner) => inner.is_own(),
            Predicate::Test { .. } => true,
            _ => false,
        }
    }

    /// Whether the condition requires one value of the column.
    pub(super) fn fixes(&self, wanted: &Column) -> bool {
        match self {
            Predicate::All(all) => all.iter().any(|one| one.fixes(wanted)),
            Predicate::Test {
                column,
                path: None,
                comparison: Comparison::Binary(Operator::Eq, _),
            } => column.whole().is_some_and(|column| std::ptr::eq(column, wanted)),
            _ => false,
        }
    }

    /// The hop to one row that must not exist, if there may be rows that do not exist for the caller alone.
    pub(super) fn lacks(&self) -> Option<&Hop<'_>> {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().find_map(Predicate::lacks)
            }
            Predicate::Related { hop, quantifier: Quantifier::None, filter } => {
                let found = hop.is_to_one() && hop.unseen().is_some();
                Some(&**hop).filter(|_| found && filter.is_empty())
            }
            _ => None,
        }
    }

    /// Whether it leaves out rows with a value in the archive column.
    pub(crate) fn leaves_out(&self, archive: &Column) -> bool {
        matches!(self, Predicate::All(all) if all.iter().any(|one| one.is_null(archive)))
    }

    /// Whether it is the test that the column is null.
    pub(super) fn is_null(&self, wanted: &Column) -> bool {
        matches!(self, Predicate::Test { column, path: None, comparison: Comparison::Null(true) }
            if column.whole().is_some_and(|column| column.name == wanted.name))
    }

    /// Whether it tests the column of the table itself.
    pub(super) fn asks(&self, wanted: &Column) -> bool {
        match self {
            Predicate::All(all) | Predicate::Any(all) => {
                all.iter().any(|one| !one.is_null(wanted) && one.asks(wanted))
            }
            Predicate::Not(inner) => inner.asks(wanted),
            Predicate::Test { column, .. } => column.identifier() == wanted.identifier(),
            Predicate::Compared { left, right, .. } => {
                [left, right].into_iter().any(|side| side.asks(wanted))
            }
            Predicate::Computed { value, .. } => value.asks(wanted),
            Predicate::Related { .. } => false,
        }
    }
}

impl Expression<'_> {
    fn asks(&self, wanted: &Column) -> bool {
        let own = |reached: &&Reached<'_>| reached.hops.is_empty();
        self.columns().into_iter().filter(own).any(|reached| reached.column.name == wanted.name)
    }
}

/// How many related rows must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Some,
    /// None.
    None,
    /// All, of which there may be none.
    Every,
}

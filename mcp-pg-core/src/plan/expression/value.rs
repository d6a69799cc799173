//! Values of a row.

use std::sync::Arc;

use super::arithmetic::Arithmetic;
use super::cut::Cut;
use super::moved::Moved;
use super::now::Now;
use super::period::Period;
use super::reached::Reached;
use super::total::Total;
use super::unit::Unit;
use crate::plan::{Function, Node, Operand};
use crate::policy::{Marks, TableView};
use crate::schema::DataType;

/// A value of a row: a column, or computed from columns.
#[derive(Debug, Clone)]
pub enum Expression<'v> {
    /// The value of a column, or of its JSON at a path.
    Column(Reached<'v>),
    /// A number of the request.
    Number(Operand),
    /// A number or a point in time of an earlier operation's row, and its type.
    Given(Operand, Arc<DataType>),
    /// The current time.
    Now(Now),
    /// An operation on two or more numbers, from left to right.
    Computed(Arithmetic, Vec<Expression<'v>>),
    /// The time from the second of two points in time to the first.
    Elapsed(Box<[Expression<'v>; 2]>, Unit),
    /// A point in time, moved by an interval.
    Moved(Box<Moved<'v>>),
    /// A total of related rows.
    Total(Box<Total<'v>>),
    /// A field of a point in time, such as its month.
    Part {
        /// The point in time.
        of: Box<Expression<'v>>,
        /// The field.
        cut: Cut,
    },
    /// A range that begins or ends at the current time.
    Period(Box<Period>),
    /// The sum of a measure over all groups.
    Whole(Box<Expression<'v>>),
}

impl<'v> Expression<'v> {
    /// The type of the value.
    pub fn data_type(&self) -> Arc<DataType> {
        match self {
            Expression::Column(reached) => reached.data_type(),
            Expression::Moved(moved) => moved.of.data_type().shared_base(),
            Expression::Total(total) => total.data_type(),
            Expression::Now(now) => Arc::clone(now.clock.data_type()),
            Expression::Period(period) => Arc::clone(&period.data_type),
            Expression::Given(_, data_type) => Arc::clone(data_type),
            Expression::Number(_)
            | Expression::Computed(..)
            | Expression::Elapsed(..)
            | Expression::Whole(_)
            | Expression::Part { .. } => Arc::clone(DataType::numeric()),
        }
    }

    /// The column, if it is nothing but one.
    pub fn column(&self) -> Option<&Reached<'v>> {
        match self {
            Expression::Column(reached) => Some(reached),
            _ => None,
        }
    }

    /// The column whose type it has.
    pub fn like(&self) -> Option<&Reached<'v>> {
        match self {
            Expression::Moved(moved) => Some(&moved.of),
            Expression::Total(total) => total.like(),
            other => other.column(),
        }
    }

    /// The total of related rows, if it is nothing but one.
    pub(crate) fn total(&self) -> Option<&Total<'v>> {
        match self {
            Expression::Total(total) => Some(total),
            _ => None,
        }
    }

    /// The number of related rows, if it is nothing but that.
    pub(crate) fn counted(&self) -> Option<&Total<'v>> {
        self.total().filter(|total| total.bare)
    }

    /// The total, if it is nothing but that and a condition on it is one on the table of its rows: a count, or a sum
    /// where no index finds the rows. Both are never null.
    pub(crate) fn tested_once(&self) -> Option<&Total<'v>> {
        let slow = |total: &&Total<'v>| total.function == Function::Sum && total.hop.is_slow();
        self.counted().or_else(|| self.total().filter(slow))
    }

    /// All columns in it, from left to right.
    pub fn columns(&self) -> Vec<&Reached<'v>> {
        match self {
            Expression::Column(reached) => vec![reached],
            Expression::Number(_)
            | Expression::Given(..)
            | Expression::Now(_)
            | Expression::Period(_) => Vec::new(),
            Expression::Computed(_, operands) => {
                operands.iter().flat_map(Expression::columns).collect()
            }
            Expression::Elapsed(ends, _) => ends.iter().flat_map(Expression::columns).collect(),
            Expression::Moved(moved) => vec![&moved.of],
            Expression::Total(total) => total.columns().iter().collect(),
            Expression::Part { of, .. } | Expression::Whole(of) => of.columns(),
        }
    }

    /// All totals of related rows in it.
    pub fn totals(&self) -> Vec<&Total<'v>> {
        match self {
            Expression::Computed(_, operands) => {
                operands.iter().flat_map(Expression::totals).collect()
            }
            Expression::Elapsed(ends, _) => ends.iter().flat_map(Expression::totals).collect(),
            Expression::Total(total) => vec![total],
            Expression::Part { of, .. } | Expression::Whole(of) => of.totals(),
            Expression::Column(_)
            | Expression::Number(_)
            | Expression::Given(..)
            | Expression::Now(_)
            | Expression::Period(_)
            | Expression::Moved(_) => Vec::new(),
        }
    }

    /// Whether it may be null.
    pub(in crate::plan) fn may_be_null(&self) -> bool {
        match self {
            Expression::Total(total) => total.may_be_null(),
            _ => true,
        }
    }

    /// Whether it is the same for all rows.
    pub(crate) fn is_constant(&self) -> bool {
        match self {
            Expression::Number(_) | Expression::Given(..) => true,
            Expression::Computed(_, operands) => operands.iter().all(Expression::is_constant),
            _ => false,
        }
    }

    /// Whether values of earlier operations' rows are among its operands.
    pub(in crate::plan) fn refers(&self) -> bool {
        match self {
            Expression::Given(..) => true,
            Expression::Computed(_, operands) => operands.iter().any(Expression::refers),
            _ => false,
        }
    }

    /// Whether it is another value at another time, though the rows stay as they are.
    pub(in crate::plan) fn moves(&self) -> bool {
        Node::Value(self).moves()
    }

    /// Its marks in a row of the table: those of all of its columns.
    pub fn marks(&self, table: &TableView) -> Marks {
        let columns = self.columns().into_iter();
        let marks = columns.map(|reached| reached.owner(table).marks(reached.position));
        marks.fold(Marks::default(), Marks::union)
    }

    /// Positions of the row's own columns that it uses, including those by which related rows are found.
    pub(crate) fn own_columns(&self) -> impl Iterator<Item = usize> {
        let columns = self.columns().into_iter().flat_map(Reached::own_columns);
        let keys = self.totals().into_iter().flat_map(Total::own_columns);
        columns.chain(keys).collect::<Vec<_>>().into_iter()
    }
}

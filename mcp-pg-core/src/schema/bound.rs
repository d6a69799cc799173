//! The ends of ranges, as columns of their own.

use std::sync::Arc;

use super::{Column, DataType, Kind};

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Where it begins.
    Lower,
    /// Where it ends.
    Upper,
}

impl Bound {
    /// Both, as replies name them.
    pub const ALL: [(&'static str, Bound); 2] = [("lower", Bound::Lower), ("upper", Bound::Upper)];
}

/// The two ends of the ranges that a column holds.
pub(crate) fn bounds(
    name: &str,
    alias: Option<&str>,
    data_type: &DataType,
) -> Option<Box<[Column; 2]>> {
    let Kind::Range(element) = &data_type.base().kind else { return None };
    let end = |(end, bound)| column(format!("{name}.{end}"), alias.unwrap_or(name), element, bound);
    Some(Box::new(Bound::ALL.map(end)))
}

/// An end, which can only be read; in SQL text it goes by the name of the whole.
fn column(name: String, whole: &str, element: &Arc<DataType>, bound: Bound) -> Column {
    // Where a range has no end, or is empty, it is null.
    Column { bound: Some(bound), ..Column::computed(name, whole.to_owned(), Arc::clone(element)) }
}

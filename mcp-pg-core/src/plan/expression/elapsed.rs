//! Points in time, and the time between two: `{"subtract": [{"$now": true}, "created_at"]}`.

use serde_json::Value;

use super::arithmetic::{Expression, Parser, no_columns};
use super::moved::Moved;
use super::now::{self, Now};
use super::total::Total;
use crate::error::{Code, Error, Result};
use crate::plan::{Reached, Unit};

/// The form of the time since a point in time, for messages.
pub(in crate::plan) const SINCE: &str =
    "{\"subtract\": [{\"$now\": true}, \"created_at\"]} is a number of days";

/// A point in time in a computation.
#[derive(Debug, Clone)]
pub enum Point<'v> {
    /// The value of a column.
    Column(Reached<'v>),
    /// The current time.
    Now(Now),
    /// The value of a column plus an interval.
    Moved(Box<Moved<'v>>),
    /// The first or last value in related rows.
    Total(Box<Total<'v>>),
}

impl<'v> Point<'v> {
    /// The columns whose values it is made from.
    pub fn columns(&self) -> &[Reached<'v>] {
        match self {
            Point::Column(reached) => std::slice::from_ref(reached),
            Point::Moved(moved) => std::slice::from_ref(&moved.of),
            Point::Total(total) => total.columns(),
            Point::Now(_) => &[],
        }
    }

    /// The total of related rows, if it is one.
    pub(super) fn total(&self) -> Option<&Total<'v>> {
        match self {
            Point::Total(total) => Some(total),
            _ => None,
        }
    }

    /// Whether it depends on the current time.
    pub(super) fn moves(&self) -> bool {
        matches!(self, Point::Now(_))
    }

    /// How many parts it has.
    pub(in crate::plan) fn parts(&self) -> usize {
        match self {
            Point::Column(_) | Point::Now(_) => 1,
            Point::Moved(_) => 2,
            Point::Total(total) => total.parts(),
        }
    }
}

impl<'v> Expression<'v> {
    /// The expression as a point in time, if it is one.
    fn point(&self) -> Option<Point<'v>> {
        match self {
            Expression::Column(reached) if reached.is_day() => Some(Point::Column(reached.clone())),
            Expression::Moved(moved) => Some(Point::Moved(moved.clone())),
            Expression::Total(total) if total.like().is_some() => Some(Point::Total(total.clone())),
            _ => None,
        }
    }
}

impl<'v> Parser<'_, 'v> {
    /// The time between a point in time and the present, of which either may be the later.
    pub(super) fn since(
        &mut self,
        ends: [(&Value, &str); 2],
        unit: Unit,
        at: &str,
        depth: usize,
    ) -> Result<Expression<'v>> {
        let Some((item, place)) = ends.into_iter().find(|(end, _)| now::asked(end).is_none())
        else {
            return Err(no_columns(at).hint(SINCE));
        };
        let wrong = |message: String| Error::new(Code::InvalidValue, message).at(place).hint(SINCE);
        let expression = self.operand(item, place, depth + 1)?;
        let Some(reached) = expression.like() else {
            return Err(wrong("expected a column with a date or timestamp beside $now".to_owned()));
        };
        let (name, type_name) = (&reached.column.name, &reached.column.type_name);
        let no_day = || wrong(format!("{name} is {type_name}, and $now a date or timestamp"));
        let end = |(item, at): (&Value, &str)| match now::asked(item) {
            None => expression.point().ok_or_else(no_day),
            Some(given) => {
                let now = Now::beside(&reached.data_type(), given, at)?;
                now.map(Point::Now).ok_or_else(no_day)
            }
        };
        let [later, earlier] = ends;
        Ok(Expression::Elapsed(Box::new([end(later)?, end(earlier)?]), unit))
    }
}

/// The time between two values, if at least one is a point in time.
///
/// # Errors
///
/// `invalid_value` if the other is not.
pub(super) fn elapsed<'v>(
    ends: [&Expression<'v>; 2],
    unit: Unit,
) -> Option<Result<Expression<'v>>> {
    let [later, earlier] = ends.map(Expression::like);
    let of = [later?, earlier?];
    match ends.map(Expression::point) {
        [Some(later), Some(earlier)] => {
            Some(Ok(Expression::Elapsed(Box::new([later, earlier]), unit)))
        }
        [None, None] => None,
        _ => {
            let types = of.map(|of| format!("{} is {}", of.column.name, of.column.type_name));
            let message = format!("there is no difference between these: {}", types.join(", "));
            let error = Error::new(Code::InvalidValue, message);
            Some(Err(error.hint("two numbers, or two of dates and timestamps")))
        }
    }
}

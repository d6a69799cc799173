//! Points in time, and the time between two: `{"subtract": [{"$now": true}, "created_at"]}`.

use serde_json::Value;

use super::arithmetic::{Parser, no_columns};
use super::now::{self, Now};
use crate::error::{Code, Error, Result};
use crate::plan::grammar::SINCE;
use crate::plan::{Expression, Reached, Unit};

impl<'v> Expression<'v> {
    /// Whether it is a point in time.
    fn is_moment(&self) -> bool {
        match self {
            Expression::Column(reached) => reached.is_day(),
            Expression::Total(total) => total.like().is_some_and(Reached::is_day),
            Expression::Given(_, data_type) => data_type.has_day(),
            Expression::Now(_) | Expression::Moved(_) => true,
            _ => false,
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
            None => Some(expression.clone()).filter(Expression::is_moment).ok_or_else(no_day),
            Some(given) => {
                let now = Now::beside(self.scope, &reached.data_type(), given, at)?;
                now.map(Expression::Now).ok_or_else(no_day)
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
    let moments = ends.map(Expression::is_moment);
    if moments == [true, true] {
        return Some(Ok(Expression::Elapsed(Box::new(ends.map(Clone::clone)), unit)));
    }
    let [later, earlier] = ends.map(Expression::like);
    let of = [later?, earlier?];
    match moments {
        [false, false] => None,
        _ => {
            let types = of.map(|of| format!("{} is {}", of.column.name, of.column.type_name));
            let message = format!("there is no difference between these: {}", types.join(", "));
            let error = Error::new(Code::InvalidValue, message);
            Some(Err(error.hint("two numbers, or two of dates and timestamps")))
        }
    }
}

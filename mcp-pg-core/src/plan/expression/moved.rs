//! Points in time plus an interval: `{"add": ["lent_at", {"interval": "14 days"}]}`.

use serde_json::Value;

use super::arithmetic::{Arithmetic, Parser};
use crate::error::{Code, Error, Result, below};
use crate::plan::{Expression, Operand, Reached, Scope};
use crate::value::Span;

/// A point in time of a row plus an interval; null if the result may be out of PostgreSQL's range.
#[derive(Debug, Clone)]
pub struct Moved<'v> {
    /// The point in time. The result has the same type.
    pub of: Reached<'v>,
    /// The interval.
    pub by: Operand,
    /// The first and the last point in time to which the interval can be added.
    pub within: [Operand; 2],
}

/// The member for an interval.
const INTERVAL: &str = "interval";

/// Its form, for messages.
pub(in crate::plan) const FORM: &str = "{\"add\": [\"due\", {\"interval\": \"14 days\"}]}";

/// The value of `{"interval": …}`.
pub(super) fn asked(value: &Value) -> Option<&Value> {
    value.as_object().filter(|members| members.len() == 1)?.get(INTERVAL)
}

/// Whether it is the text of an interval in place of a column's name.
pub(super) fn is_span(value: &Value) -> bool {
    value.as_str().is_some_and(|text| Span::parse(text).is_ok())
}

impl<'v> Moved<'v> {
    /// The point in time plus (`add`) or minus the interval in `given`, which is at `at`.
    ///
    /// # Errors
    ///
    /// `invalid_value` if it is not an interval, or has units that the column's type does not have.
    pub(super) fn new(
        scope: &Scope<'_>,
        of: Reached<'v>,
        arithmetic: Arithmetic,
        given: &Value,
        at: &str,
    ) -> Result<Self> {
        let at = &below(at, INTERVAL);
        let wrong = |message: String| Error::new(Code::InvalidValue, message).at(at).hint(FORM);
        let Value::String(text) = given else {
            return Err(wrong("interval takes a text such as \"14 days\"".to_owned()));
        };
        let span = Span::parse(text).map_err(|error| error.at(at))?;
        let (name, type_name) = (&of.column.name, &of.column.type_name);
        if !of.column.data_type.is_timestamp() && !span.is_of_days() {
            return Err(wrong(format!("{name} is {type_name}, which moves by whole days")));
        }
        let span = if arithmetic == Arithmetic::Subtract { span.negated() } else { span };
        let operand = |text: String| scope.text(text, at);
        let within = span.within().map(operand);
        Ok(Self { by: operand(span.interval()), within, of })
    }
}

impl<'v> Parser<'_, 'v> {
    /// A point in time plus an interval, if one of two values is an interval.
    pub(super) fn moved(
        &mut self,
        arithmetic: Arithmetic,
        items: &[Value],
        places: &[String],
        depth: usize,
    ) -> Result<Option<Expression<'v>>> {
        let ([first, second], [at_first, at_second]) = (items, places) else { return Ok(None) };
        let (item, at, given, at_given) = match (asked(first), asked(second)) {
            (_, Some(given)) => (first, at_first, given, at_second),
            (Some(given), None) if arithmetic == Arithmetic::Add => {
                (second, at_second, given, at_first)
            }
            _ => return Ok(None),
        };
        let wrong = || {
            let message = "expected a column with a date or timestamp beside an interval";
            Error::new(Code::InvalidValue, message).at(at).hint(FORM)
        };
        if !matches!(arithmetic, Arithmetic::Add | Arithmetic::Subtract) {
            return Err(wrong());
        }
        self.count(at_given, depth + 1)?;
        match self.operand(item, at, depth + 1)? {
            Expression::Column(of) if of.is_day() => {
                let moved = Moved::new(self.scope, of, arithmetic, given, at_given)?;
                Ok(Some(Expression::Moved(Box::new(moved))))
            }
            _ => Err(wrong()),
        }
    }
}

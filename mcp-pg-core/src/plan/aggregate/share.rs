//! The part that a group has in all groups: `{"part": {"share": "revenue"}}`.

use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result, below};
use crate::plan::{Arithmetic, Expression, Function, Grouping, Scope};
use crate::policy::TableView;

/// The member that names the measure.
pub(super) const SHARE: &str = "share";

/// How it is written.
pub(super) const FORM: &str =
    "{\"revenue\": {\"sum\": \"amount\"}, \"part\": {\"share\": \"revenue\"}}";

impl<'v> Scope<'v> {
    /// The measure of which an object asks for the share, divided by itself: the sum over all groups takes the place of the
    /// divisor once it is known what the measure is computed from.
    ///
    /// # Errors
    ///
    /// As [`Scope::arithmetic`].
    pub(super) fn by_itself(
        &self,
        derived: &'v TableView,
        asked: &Map<String, Value>,
        at: &str,
    ) -> Result<Expression<'v>> {
        let at = below(at, SHARE);
        let Some(Value::String(name)) = asked.get(SHARE) else {
            let message = "share takes the name of a measure";
            return Err(Error::new(Code::InvalidValue, message).at(at).hint(FORM));
        };
        let quotient = Map::from_iter([("divide".to_owned(), json!([name, name]))]);
        self.arithmetic(derived, &quotient, "").map_err(|error| error.at(at))
    }
}

impl<'v> Grouping<'v> {
    /// The share, of the measure divided by itself.
    ///
    /// # Errors
    ///
    /// `invalid_value` for a measure whose values in all groups do not add up to a whole.
    pub(super) fn share(&self, by_itself: Expression<'v>, at: &str) -> Result<Expression<'v>> {
        match by_itself {
            Expression::Computed(Arithmetic::Divide, operands)
                if operands.iter().all(|operand| self.adds_up(operand)) =>
            {
                let mut operands = operands.into_iter();
                let group = operands.next();
                let all = operands.next().map(|all| Expression::Whole(Box::new(all)));
                Ok(Expression::Computed(Arithmetic::Divide, group.into_iter().chain(all).collect()))
            }
            _ => {
                let message = "share takes a sum or a count, or a sum or difference of such: the groups' other values add up to nothing";
                let error = Error::new(Code::InvalidValue, message);
                Err(error.at(below(at, SHARE)).hint(FORM))
            }
        }
    }

    /// Whether the values of all groups add up to that of all their rows.
    fn adds_up(&self, of: &Expression<'_>) -> bool {
        match of {
            Expression::Column(of) => {
                let measure = of.position.checked_sub(self.groups.len());
                let measure = measure.and_then(|measure| self.measures.get(measure));
                measure.is_some_and(|it| matches!(it.function, Function::Sum | Function::Count))
            }
            Expression::Computed(Arithmetic::Add | Arithmetic::Subtract, parts) => {
                parts.iter().all(|part| self.adds_up(part))
            }
            Expression::Computed(Arithmetic::Multiply, parts) => {
                let mut variable = parts.iter().filter(|part| !part.is_constant());
                variable.next().is_some_and(|part| self.adds_up(part)) && variable.next().is_none()
            }
            Expression::Computed(Arithmetic::Divide, parts) => match parts.as_slice() {
                [first, rest @ ..] => {
                    self.adds_up(first) && rest.iter().all(Expression::is_constant)
                }
                [] => false,
            },
            _ => false,
        }
    }
}

//! Totals of related rows, as correlated subqueries.

use sea_query::{Asterisk, DynIden, Expr, ExprTrait, Func, Value};

use super::include::subquery;
use super::predicate::Conditions;
use crate::plan::{Function, Total};

impl Conditions {
    /// The total of the rows related to the one under `alias`.
    ///
    /// Computing it cannot fail: the values of the rows have few enough digits for their sum.
    pub(super) fn total(&mut self, total: &Total<'_>, alias: &DynIden) -> Expr {
        let (mut rows, other) = self.met(&total.hop, &total.filter, alias);
        let value = match &total.of {
            None => Expr::col(Asterisk),
            Some(of) if of.data_type().has_day() => self.computed(of, &other),
            Some(of) => self.operand(of, &other).divided(),
        };
        rows.expr(match total.function {
            Function::Sum => {
                Func::coalesce([Func::sum(value).into(), Expr::Constant(Value::BigInt(Some(0)))])
                    .into()
            }
            Function::Avg => Func::avg(value).into(),
            Function::Min => Func::min(value).into(),
            Function::Max => Func::max(value).into(),
            _ if total.bare => Func::count(value).into(),
            _ => Expr::expr(Func::count(value)).cast_as("numeric"),
        });
        self.join(&mut rows, &other);
        subquery(rows)
    }
}

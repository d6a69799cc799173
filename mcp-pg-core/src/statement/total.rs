//! Totals of related rows, as correlated subqueries.

use sea_query::{Asterisk, DynIden, Expr, ExprTrait, Func, Query, SelectStatement, Value};

use super::include::subquery;
use super::named;
use super::predicate::Conditions;
use crate::plan::{Function, Total};

impl Conditions {
    /// The total of the rows related to the one under `alias`.
    pub(super) fn total(&mut self, total: &Total<'_>, alias: &DynIden) -> Expr {
        let (mut rows, value) = self.totalled(total, alias);
        rows.expr(value);
        subquery(rows)
    }

    /// Whether the total meets a condition, which may use it several times although it is computed once.
    pub(super) fn total_meets(
        &mut self,
        total: &Total<'_>,
        alias: &DynIden,
        condition: impl FnOnce(&mut Self, Expr) -> Expr,
    ) -> Expr {
        const TOTAL: &str = "c0";
        let (mut rows, value) = self.totalled(total, alias);
        rows.expr_as(value, TOTAL);
        let row = self.alias();
        let mut met = Query::select();
        met.expr(Expr::Constant(Value::Int(Some(1))));
        met.from_subquery(rows, row.clone());
        met.and_where(condition(self, named(&row, TOTAL)));
        Expr::exists(met)
    }

    /// The rows, and the total of them.
    ///
    /// Computing it cannot fail: the values of the rows have few enough digits for their sum.
    fn totalled(&mut self, total: &Total<'_>, alias: &DynIden) -> (SelectStatement, Expr) {
        let (mut rows, other) = self.met(&total.hop, &total.filter, alias);
        let value = match &total.of {
            None => Expr::col(Asterisk),
            Some(of) if of.data_type().has_ends() => self.computed(of, &other),
            Some(of) => self.operand(of, &other).divided(),
        };
        let value = match total.function {
            Function::Sum => {
                Func::coalesce([Func::sum(value).into(), Expr::Constant(Value::BigInt(Some(0)))])
                    .into()
            }
            Function::Avg => Func::avg(value).into(),
            Function::Min => Func::min(value).into(),
            Function::Max => Func::max(value).into(),
            _ if total.bare => Func::count(value).into(),
            _ => Expr::expr(Func::count(value)).cast_as("numeric"),
        };
        self.join(&mut rows, &other);
        (rows, value)
    }
}

//! Values that are computed from columns, as SQL expressions.

use sea_query::{CaseStatement, DynIden, Expr, ExprTrait, Func, Value};

use super::predicate::Conditions;
use crate::plan::{Arithmetic, Expression, Reached};

/// How long a day is that no clock is changed on.
const SECONDS_OF_A_DAY: i32 = 86_400;

impl Conditions {
    /// A value of the row under `alias`.
    pub(super) fn computed(&mut self, expression: &Expression<'_>, alias: &DynIden) -> Expr {
        match expression {
            Expression::Column(reached) => self.value(reached, alias),
            Expression::Number(number) => self.parameters.share(number).cast_as("numeric"),
            Expression::Computed(arithmetic, operands) => {
                let operands = operands.iter().map(|operand| self.operand(operand, alias));
                let operands: Vec<Expr> = operands.collect();
                let computed = operands.into_iter().reduce(|left, right| match arithmetic {
                    Arithmetic::Add => left.add(right),
                    Arithmetic::Subtract => left.sub(right),
                    Arithmetic::Multiply => left.mul(right),
                    Arithmetic::Divide => left.div(Func::cust("NULLIF").args([right, integer(0)])),
                });
                computed.unwrap_or_else(|| integer(0))
            }
            Expression::Days(ends) => {
                let [later, earlier] = ends.each_ref().map(|end| self.seconds(end, alias));
                later.sub(earlier).div(integer(SECONDS_OF_A_DAY))
            }
        }
    }

    fn operand(&mut self, operand: &Expression<'_>, alias: &DynIden) -> Expr {
        match operand {
            Expression::Column(reached) => self.number(reached, alias),
            operand => self.computed(operand, alias),
        }
    }

    /// A column's number as `numeric`, in which nothing overflows; null for a member of JSON that is no number.
    pub(super) fn number(&mut self, of: &Reached<'_>, alias: &DynIden) -> Expr {
        let value = self.value(of, alias);
        if of.member.is_some() {
            let kind = Func::cust("pg_catalog.jsonb_typeof").arg(self.value(of, alias));
            let number = Expr::expr(kind).eq(Expr::Constant("number".into()));
            return CaseStatement::new().case(number, value.cast_as("numeric")).into();
        }
        match of.column.data_type.base().oid {
            1700 => value,
            // The text has all digits that tell a float from others, of which the cast leaves some out.
            700 | 701 => value.cast_as("text").cast_as("numeric"),
            _ => value.cast_as("numeric"),
        }
    }

    /// The seconds of a point in time since 1970, of infinity infinitely many: differences of these cannot fail.
    fn seconds(&mut self, of: &Reached<'_>, alias: &DynIden) -> Expr {
        let epoch = Expr::Constant("epoch".into());
        Func::cust("pg_catalog.extract").args([epoch, self.value(of, alias)]).into()
    }
}

fn integer(number: i32) -> Expr {
    Expr::Constant(Value::Int(Some(number)))
}

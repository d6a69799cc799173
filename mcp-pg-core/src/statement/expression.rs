//! Computed values as SQL expressions.

use sea_query::{
    BinOper, CaseStatement, DynIden, Expr, ExprTrait, Func, IntoIden, Keyword, Query, Value,
};

use super::include::subquery;
use super::predicate::Conditions;
use crate::plan::{Arithmetic, DIGITS, Expression, Moved, Reached};
use crate::schema::DataType;

/// A value and a divisor. The division comes last, so that no intermediate result is rounded.
pub(super) struct Fraction {
    pub(super) value: Expr,
    pub(super) divisor: i64,
}

impl Fraction {
    fn whole(value: Expr) -> Self {
        Self { value, divisor: 1 }
    }

    /// The quotient.
    pub(super) fn divided(self) -> Expr {
        divided(self.value, self.divisor)
    }
}

/// Whether a number has few enough digits for a computation. A product of
/// [`ARITHMETIC_MOST`](crate::plan::ARITHMETIC_MOST) such numbers still fits into `numeric`, which has at most
/// 131,072 digits before the decimal point.
fn is_short(number: Expr) -> Expr {
    let text = Func::cust("pg_catalog.octet_length").arg(number.cast_as("text"));
    Expr::expr(text).lte(integer(DIGITS.into()))
}

/// A float as `numeric`, exactly. The cast goes through text, because the direct cast drops digits.
pub(super) fn exact(float: Expr) -> Expr {
    float.cast_as("text").cast_as("numeric")
}

/// A value divided by an integer.
pub(super) fn divided(value: Expr, by: i64) -> Expr {
    if by == 1 { value } else { value.div(integer(by)) }
}

impl Conditions {
    /// The value of an expression for the row under `alias`.
    pub(super) fn computed(&mut self, expression: &Expression<'_>, alias: &DynIden) -> Expr {
        self.fraction(expression, alias).divided()
    }

    /// The same, before the division.
    pub(super) fn fraction(&mut self, expression: &Expression<'_>, alias: &DynIden) -> Fraction {
        match expression {
            Expression::Column(reached) => Fraction::whole(self.value(reached, alias)),
            Expression::Number(number) => {
                Fraction::whole(self.parameters.share(number).cast_as("numeric"))
            }
            Expression::Given(given, data_type) => {
                Fraction::whole(self.parameters.share(given).cast_as(data_type.name.clone()))
            }
            Expression::Computed(arithmetic, operands) => {
                let operands = operands.iter().map(|operand| self.operand(operand, alias));
                let operands: Vec<Fraction> = operands.collect();
                let computed = operands.into_iter().reduce(|left, right| match arithmetic {
                    Arithmetic::Add => alike(left, right, Expr::add),
                    Arithmetic::Subtract => alike(left, right, Expr::sub),
                    Arithmetic::Multiply => product(left, right),
                    Arithmetic::Divide => quotient(left, right),
                    Arithmetic::Bucket => bucket(left, right),
                });
                computed.unwrap_or_else(|| Fraction::whole(integer(0)))
            }
            Expression::Now(now) => Fraction::whole(self.now(now)),
            Expression::Part { of, cut } => {
                let value = self.computed(of, alias);
                Fraction::whole(self.part(value, cut))
            }
            Expression::Period(period) => Fraction::whole(self.met_period(period)),
            Expression::Moved(moved) => Fraction::whole(self.moved(moved, alias)),
            Expression::Total(total) => Fraction::whole(self.total(total, alias)),
            Expression::Whole(of) => Fraction::whole(over_all(self.operand(of, alias).divided())),
            Expression::Elapsed(ends, unit) => {
                let [later, earlier] = ends.each_ref().map(|end| self.seconds(end, alias));
                Fraction { value: later.sub(earlier), divisor: unit.seconds() }
            }
        }
    }

    /// The value as an operand: a number that is short enough to compute with.
    pub(super) fn operand(&mut self, operand: &Expression<'_>, alias: &DynIden) -> Fraction {
        match operand {
            Expression::Column(reached) => Fraction::whole(self.factor(reached, alias)),
            // Its length is not known yet.
            Expression::Given(given, _) => {
                let number = self.parameters.share(given).cast_as("numeric");
                let short = CaseStatement::new().case(is_short(number.clone()), number);
                Fraction::whole(short.into())
            }
            // A constant is evaluated once, not for each row.
            Expression::Computed(..) if operand.is_constant() => Fraction::whole(subquery(
                Query::select().expr(self.computed(operand, alias)).take(),
            )),
            operand => self.fraction(operand, alias),
        }
    }

    /// A number in a computation; null if it has more than [`DIGITS`] digits.
    fn factor(&mut self, of: &Reached<'_>, alias: &DynIden) -> Expr {
        let number = self.number(of, alias);
        let column = &of.column;
        let unbounded = column.data_type.base().oid == DataType::numeric().oid
            && column
                .precision()
                .is_none_or(|(before, behind)| before + behind > i64::from(DIGITS));
        match unbounded || of.member.is_some() {
            true => CaseStatement::new().case(is_short(self.value(of, alias)), number).into(),
            false => number,
        }
    }

    /// A column as `numeric`, which does not overflow; null for a JSON member that is not a number.
    pub(super) fn number(&mut self, of: &Reached<'_>, alias: &DynIden) -> Expr {
        let value = self.value(of, alias);
        if of.member.is_some() {
            let kind = Func::cust("pg_catalog.jsonb_typeof").arg(self.value(of, alias));
            let number = Expr::expr(kind).eq(Expr::Constant("number".into()));
            return CaseStatement::new().case(number, value.cast_as("numeric")).into();
        }
        match of.column.data_type.base() {
            data_type if data_type.oid == DataType::numeric().oid => value,
            data_type if data_type.is_float() => exact(value),
            _ => value.cast_as("numeric"),
        }
    }

    /// A point in time plus an interval; null if the result is out of PostgreSQL's range. PostgreSQL would fail, but
    /// only if there is a row.
    pub(super) fn moved(&mut self, moved: &Moved<'_>, alias: &DynIden) -> Expr {
        let data_type = moved.of.data_type();
        let name = &data_type.base().name;
        let of = self.value(&moved.of, alias);
        let [first, last] =
            moved.within.each_ref().map(|end| self.parameters.share(end).cast_as(name.clone()));
        let finite = Func::cust("pg_catalog.isfinite").arg(of.clone());
        let within = of.clone().between(first, last).or(Expr::expr(finite).not());
        let later = of.add(self.parameters.share(&moved.by).cast_as("interval"));
        CaseStatement::new().case(within, later.cast_as(name.clone())).into()
    }

    /// The seconds of a point in time since 1970; infinite for infinity. Differences of these cannot fail.
    fn seconds(&mut self, of: &Expression<'_>, alias: &DynIden) -> Expr {
        let epoch = Expr::Constant("epoch".into());
        let of = self.computed(of, alias);
        Func::cust("pg_catalog.extract").args([epoch, of]).into()
    }
}

/// The sum of a value over all rows.
fn over_all(value: Expr) -> Expr {
    let all = Expr::Keyword(Keyword::Custom("()".into_iden()));
    Expr::from(Func::sum(value)).binary(BinOper::Custom("OVER"), all)
}

/// The sum or difference of two values, brought to a common divisor.
fn alike(left: Fraction, right: Fraction, put: fn(Expr, Expr) -> Expr) -> Fraction {
    let divisor = Ord::max(left.divisor, right.divisor);
    // The divisors of units of time divide each other, but not all products of them do.
    match [left.divisor, right.divisor].into_iter().all(|own| divisor % own == 0) {
        true => {
            let [left, right] = [left, right].map(|part| times(part.value, divisor / part.divisor));
            Fraction { value: put(left, right), divisor }
        }
        false => Fraction::whole(put(left.divided(), right.divided())),
    }
}

fn product(left: Fraction, right: Fraction) -> Fraction {
    match left.divisor.checked_mul(right.divisor) {
        Some(divisor) => Fraction { value: left.value.mul(right.value), divisor },
        None => Fraction::whole(left.divided().mul(right.divided())),
    }
}

fn quotient(left: Fraction, right: Fraction) -> Fraction {
    let divisor = Func::cust("NULLIF").args([right.value, integer(0)]);
    let value = times(left.value, right.divisor).div(divisor);
    Fraction { value, divisor: left.divisor }
}

/// The greatest multiple of the width up to a value, computed from the remainder because a quotient would be rounded.
fn bucket(value: Fraction, width: Fraction) -> Fraction {
    let [value, width] = [value, width].map(Fraction::divided);
    let rest =
        |value: Expr| -> Expr { Func::cust("pg_catalog.mod").args([value, width.clone()]).into() };
    // The remainder of a negative number is negative, that of infinity is NaN.
    let beyond = rest(rest(value.clone()).add(width.clone()));
    let none = Expr::Constant("NaN".into()).cast_as("numeric");
    let begin = value.clone().sub(Func::cust("NULLIF").args([beyond, none]));
    Fraction::whole(Func::coalesce([begin, value]).into())
}

fn times(value: Expr, factor: i64) -> Expr {
    if factor == 1 { value } else { value.mul(integer(factor)) }
}

fn integer(number: i64) -> Expr {
    Expr::Constant(Value::BigInt(Some(number)))
}

//! Values that are computed from columns, as SQL expressions.

use sea_query::{CaseStatement, DynIden, Expr, ExprTrait, Func, Query, Value};

use super::include::subquery;
use super::predicate::Conditions;
use crate::plan::{Arithmetic, Expression, Moved, Point, Reached};
use crate::schema::DataType;

/// Most digits of a number that is computed with.
const DIGITS: i64 = 500;

/// A value that is yet to be divided by a whole number: put off, that leaves nothing to be rounded before.
pub(super) struct Parted {
    pub(super) value: Expr,
    pub(super) by: i64,
}

impl Parted {
    fn whole(value: Expr) -> Self {
        Self { value, by: 1 }
    }

    /// The value itself.
    pub(super) fn divided(self) -> Expr {
        divided(self.value, self.by)
    }
}

/// Whether a number is written with few enough digits to compute with: as many factors as there may be
/// ([`ARITHMETIC_MOST`](crate::plan::ARITHMETIC_MOST)) are then a `numeric` still, of which there are none beyond 131,072
/// digits before the point.
fn is_short(number: Expr) -> Expr {
    let text = Func::cust("pg_catalog.octet_length").arg(number.cast_as("text"));
    Expr::expr(text).lte(integer(DIGITS))
}

/// A float as `numeric`: its text has all digits that tell it from others, of which the cast leaves some out.
pub(super) fn exact(float: Expr) -> Expr {
    float.cast_as("text").cast_as("numeric")
}

/// A value divided by a whole number.
pub(super) fn divided(value: Expr, by: i64) -> Expr {
    if by == 1 { value } else { value.div(integer(by)) }
}

impl Conditions {
    /// A value of the row under `alias`.
    pub(super) fn computed(&mut self, expression: &Expression<'_>, alias: &DynIden) -> Expr {
        self.parted(expression, alias).divided()
    }

    /// The same, yet to be divided.
    pub(super) fn parted(&mut self, expression: &Expression<'_>, alias: &DynIden) -> Parted {
        match expression {
            Expression::Column(reached) => Parted::whole(self.value(reached, alias)),
            Expression::Number(number) => {
                Parted::whole(self.parameters.share(number).cast_as("numeric"))
            }
            Expression::Computed(arithmetic, operands) => {
                let operands = operands.iter().map(|operand| self.operand(operand, alias));
                let operands: Vec<Parted> = operands.collect();
                let computed = operands.into_iter().reduce(|left, right| match arithmetic {
                    Arithmetic::Add => alike(left, right, Expr::add),
                    Arithmetic::Subtract => alike(left, right, Expr::sub),
                    Arithmetic::Multiply => product(left, right),
                    Arithmetic::Divide => quotient(left, right),
                    Arithmetic::Bucket => bucket(left, right),
                });
                computed.unwrap_or_else(|| Parted::whole(integer(0)))
            }
            Expression::Moved(moved) => Parted::whole(self.moved(moved, alias)),
            Expression::Elapsed(ends, unit) => {
                let [later, earlier] = ends.each_ref().map(|end| self.seconds(end, alias));
                Parted { value: later.sub(earlier), by: unit.seconds() }
            }
        }
    }

    fn operand(&mut self, operand: &Expression<'_>, alias: &DynIden) -> Parted {
        match operand {
            Expression::Column(reached) => Parted::whole(self.factor(reached, alias)),
            // Computed once, not for each row.
            Expression::Computed(..) if operand.columns().is_empty() => {
                Parted::whole(subquery(Query::select().expr(self.computed(operand, alias)).take()))
            }
            operand => self.parted(operand, alias),
        }
    }

    /// A number to compute with; null for what has more than [`DIGITS`].
    fn factor(&mut self, of: &Reached<'_>, alias: &DynIden) -> Expr {
        let number = self.number(of, alias);
        let column = &of.column;
        let unbounded = column.data_type.base().oid == DataType::numeric().oid
            && column.precision().is_none_or(|(before, behind)| before + behind > DIGITS);
        match unbounded || of.member.is_some() {
            true => CaseStatement::new().case(is_short(self.value(of, alias)), number).into(),
            false => number,
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
        match of.column.data_type.base() {
            data_type if data_type.oid == DataType::numeric().oid => value,
            data_type if data_type.is_float() => exact(value),
            _ => value.cast_as("numeric"),
        }
    }

    /// A point in time so much later; null where it would be none of PostgreSQL's, which it refuses once it meets a row.
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

    /// The seconds of a point in time since 1970, of infinity infinitely many: differences of these cannot fail.
    fn seconds(&mut self, of: &Point<'_>, alias: &DynIden) -> Expr {
        let epoch = Expr::Constant("epoch".into());
        let of = match of {
            Point::Column(reached) => self.value(reached, alias),
            Point::Now(now) => self.now(now),
            Point::Moved(moved) => self.moved(moved, alias),
        };
        Func::cust("pg_catalog.extract").args([epoch, of]).into()
    }
}

/// The total or difference of two values, which are first to be divided by the same number.
fn alike(left: Parted, right: Parted, put: fn(Expr, Expr) -> Expr) -> Parted {
    let by = Ord::max(left.by, right.by);
    // Units of time divide each other; of their products, not all do.
    match [left.by, right.by].into_iter().all(|own| by % own == 0) {
        true => {
            let [left, right] = [left, right].map(|part| times(part.value, by / part.by));
            Parted { value: put(left, right), by }
        }
        false => Parted::whole(put(left.divided(), right.divided())),
    }
}

fn product(left: Parted, right: Parted) -> Parted {
    match left.by.checked_mul(right.by) {
        Some(by) => Parted { value: left.value.mul(right.value), by },
        None => Parted::whole(left.divided().mul(right.divided())),
    }
}

fn quotient(left: Parted, right: Parted) -> Parted {
    let by_number = Func::cust("NULLIF").args([right.value, integer(0)]);
    let value = times(left.value, right.by).div(by_number);
    Parted { value, by: left.by }
}

/// What is left of a number without the rest beyond a multiple: quotients would be rounded.
fn bucket(value: Parted, width: Parted) -> Parted {
    let [value, width] = [value, width].map(Parted::divided);
    let rest =
        |value: Expr| -> Expr { Func::cust("pg_catalog.mod").args([value, width.clone()]).into() };
    // That of a negative number is negative, that of an infinite one no number.
    let beyond = rest(rest(value.clone()).add(width.clone()));
    let none = Expr::Constant("NaN".into()).cast_as("numeric");
    let begin = value.clone().sub(Func::cust("NULLIF").args([beyond, none]));
    Parted::whole(Func::coalesce([begin, value]).into())
}

fn times(value: Expr, factor: i64) -> Expr {
    if factor == 1 { value } else { value.mul(integer(factor)) }
}

fn integer(number: i64) -> Expr {
    Expr::Constant(Value::BigInt(Some(number)))
}

//! Comparisons whose right side is not a value of the request: columns and points in time.

use sea_query::{CaseStatement, DynIden, Expr, ExprTrait, Func, Keyword};

use super::expression::exact;
use super::predicate::{Conditions, taken};
use crate::plan::{Clock, End, Expression, Now, Period};
use crate::schema::{DataType, Family, Operator};

impl Conditions {
    /// The two sides of a comparison, cast where PostgreSQL would find no operator.
    pub(super) fn beside(
        &mut self,
        left: &Expression<'_>,
        operator: Operator,
        right: &Expression<'_>,
        alias: &DynIden,
    ) -> [Expr; 2] {
        let types = (data_type(left), data_type(right));
        let floats = [left, right].map(is_float);
        let [left, right] = [left, right].map(|value| self.compared(value, alias));
        if floats[0] != floats[1] {
            // PostgreSQL would cast the other side to double, and fail for a row whose number is out of range.
            let exact = |(value, is_float): (Expr, bool)| match is_float {
                true => exact(value),
                false => value.cast_as("numeric"),
            };
            return [(left, floats[0]), (right, floats[1])].map(exact);
        }
        let (Some(one), Some(other)) = types else { return [left, right] };
        if one.is_text() && other.is_text() && one.base().oid != other.base().oid {
            return [left, right].map(|text| text.cast_as("text"));
        }
        match one.bound().filter(|_| operator == Operator::Contains) {
            Some(bound) if other.bound().is_none() => {
                [left, right.cast_as(bound.base().name.clone())]
            }
            _ => [left, right],
        }
    }

    /// One side of a comparison, for the row under `alias`.
    pub(super) fn compared(&mut self, value: &Expression<'_>, alias: &DynIden) -> Expr {
        if let Expression::Column(of) = value {
            let value = self.looked_up(&of.hops, &of.column, alias);
            return taken(value, &of.column.data_type);
        }
        let apart = std::mem::replace(&mut self.apart, true);
        let value = self.computed(value, alias);
        self.apart = apart;
        value
    }

    /// A range one of whose bounds is relative to the present.
    pub(super) fn period(&mut self, period: &Period) -> Expr {
        let [lower, upper] = period.ends.each_ref().map(|end| self.end(end, &period.element));
        range(period, lower, upper)
    }

    /// The same for a condition. Null where the range would end before it begins, or would need a day after the last
    /// one: in both cases PostgreSQL fails, but only if there is a row.
    pub(super) fn met_period(&mut self, period: &Period) -> Expr {
        let [lower, upper] = period.ends.each_ref().map(|end| self.end(end, &period.element));
        let made = range(period, lower.clone(), upper.clone());
        let mut fits = Vec::new();
        if !period.ends.iter().any(|end| matches!(end, End::Open)) {
            fits.push(lower.clone().lte(upper.clone()));
        }
        for (end, value) in period.ends.iter().zip([lower, upper]) {
            if matches!(end, End::Value(_)) && period.holds_days() {
                let last = Expr::Constant(LAST_DAY.into()).cast_as("date");
                fits.push(value.ne(last));
            }
        }
        match fits.into_iter().reduce(Expr::and) {
            None => made,
            Some(fits) => CaseStatement::new().case(fits, made).into(),
        }
    }

    fn end(&mut self, end: &End, element: &DataType) -> Expr {
        match end {
            End::Open => Expr::Keyword(Keyword::Null).cast_as(element.name.clone()),
            End::Now(now) => self.now(now),
            End::Value(value) => self.parameters.share(value).cast_as(element.name.clone()),
        }
    }

    /// A time relative to the transaction's. It is the same for all rows, so an index can be used.
    pub(super) fn now(&mut self, now: &Now) -> Expr {
        let local = || Expr::Keyword(Keyword::Custom("LOCALTIMESTAMP".into()));
        let offset = now.offset.as_ref();
        let offset = offset.map(|offset| self.parameters.share(offset).cast_as("interval"));
        match (now.clock, offset) {
            (Clock::Day, None) => Expr::current_date(),
            (Clock::Day, Some(offset)) => local().add(offset).cast_as("date"),
            (Clock::Local, None) => local(),
            (Clock::Local, Some(offset)) => local().add(offset),
            (Clock::Zoned, None) => Expr::current_timestamp(),
            (Clock::Zoned, Some(offset)) => Expr::current_timestamp().add(offset),
        }
    }
}

/// The last day of PostgreSQL's `date`.
const LAST_DAY: &str = "5874897-12-31";

/// A range, built by the constructor function of its type.
fn range(period: &Period, lower: Expr, upper: Expr) -> Expr {
    let name = &period.data_type.name;
    let made = match name.contains('.') {
        true => Func::cust(name.clone()),
        false => Func::cust(format!("pg_catalog.{name}")),
    };
    made.args([lower, upper, Expr::Constant(period.bounds.into())]).into()
}

/// Whether the side is a `real` or `double precision`.
fn is_float(value: &Expression<'_>) -> bool {
    data_type(value).is_some_and(DataType::is_float)
}

/// The type of a side that is a column.
fn data_type<'c>(value: &'c Expression<'_>) -> Option<&'c DataType> {
    value.column().map(|of| &*of.column.data_type)
}

/// The family of the side's type.
pub(super) fn family(value: &Expression<'_>) -> Family {
    data_type(value).map_or(Family::Other, DataType::family)
}

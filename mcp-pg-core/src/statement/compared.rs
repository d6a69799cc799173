//! The values that conditions compare without the caller's giving one.

use sea_query::{DynIden, Expr, ExprTrait, Keyword};

use super::expression::exact;
use super::predicate::{Conditions, taken};
use crate::plan::{Clock, Compared, Now, Point};
use crate::schema::{DataType, Family, Operator};

impl Conditions {
    /// The two values of a comparison, as PostgreSQL finds an operator for them.
    pub(super) fn beside(
        &mut self,
        left: &Compared<'_>,
        operator: Operator,
        right: &Compared<'_>,
        alias: &DynIden,
    ) -> [Expr; 2] {
        let types = (data_type(left), data_type(right));
        let floats = [left, right].map(is_float);
        let [left, right] = [left, right].map(|value| self.compared(value, alias));
        if floats[0] != floats[1] {
            // PostgreSQL would make a double of the other one, and fail at a row whose number is beyond its range.
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

    /// The value, for the row under `alias`.
    pub(super) fn compared(&mut self, value: &Compared<'_>, alias: &DynIden) -> Expr {
        match value {
            Compared::Column(of) => {
                let value = self.looked_up(&of.hops, &of.column, alias);
                taken(value, &of.column.data_type)
            }
            Compared::Count(counted) => self.counted(&counted.hop, &counted.filter, alias),
            Compared::Now(now) => self.now(now),
            Compared::Computed(of) => {
                let apart = std::mem::replace(&mut self.apart, true);
                let value = self.computed(of, alias);
                self.apart = apart;
                value
            }
            Compared::Part { of, cut } => {
                let value = match of {
                    Point::Column(of) => self.looked_up(&of.hops, &of.column, alias),
                    Point::Now(now) => self.now(now),
                };
                self.part(value, cut)
            }
        }
    }

    /// A time so far from the transaction's: the same for all rows, so that an index can look for it.
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

/// Whether it is a number of limited precision.
fn is_float(value: &Compared<'_>) -> bool {
    data_type(value).is_some_and(DataType::is_float)
}

/// The type of a column's value.
fn data_type<'c>(value: &'c Compared<'_>) -> Option<&'c DataType> {
    match value {
        Compared::Column(of) => Some(&of.column.data_type),
        _ => None,
    }
}

/// How the value's operators are to be read.
pub(super) fn family(value: &Compared<'_>) -> Family {
    match value {
        Compared::Column(of) => of.column.data_type.family(),
        Compared::Count(_) | Compared::Now(_) | Compared::Computed(_) | Compared::Part { .. } => {
            Family::Other
        }
    }
}

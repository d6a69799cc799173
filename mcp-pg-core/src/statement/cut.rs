//! Parts of a point in time: truncated to a unit of time, or a field of its date or time of day.

use std::sync::Arc;

use sea_query::{Expr, ExprTrait, Func};

use super::guard::Guard;
use super::local::local;
use super::parameters::place;
use super::predicate::Conditions;
use super::text;
use crate::plan::{Cut, Operand};
use crate::schema::DataType;

/// The first and the last point in time that PostgreSQL can truncate in every time zone.
const CUT: [&str; 2] = ["4712-01-01 BC", "294276-12-29"];

/// The same for `date_bin`, which counts intervals of several units from the first of them.
const BINNED: [&str; 2] = ["4712-01-01 BC", "250000-01-01"];

impl Conditions {
    /// A value of the type, truncated or reduced to a field.
    pub(super) fn cut(&mut self, value: Expr, data_type: &Arc<DataType>, cut: &Cut) -> Expr {
        if cut.part {
            return self.part(value, cut);
        }
        let data_type = cut.data_type(data_type);
        let value = zoned(value, cut);
        let zone = cut.zone.as_ref().map(|zone| self.zone(zone));
        let whole = value.clone();
        let date = data_type.is_date();
        let value = if date { value.cast_as("timestamp") } else { value };
        let moment = |moment: &str| text(moment).cast_as(data_type.name.clone());
        let several = cut.times > 1;
        let cut: Expr = match several {
            false => {
                let arguments = [unit(cut), value].into_iter().chain(zone);
                Func::cust("pg_catalog.date_trunc").args(arguments).into()
            }
            true => {
                let stride = format!("{} {}", cut.times, cut.unit);
                let stride = text(&stride).cast_as("interval");
                Func::cust("pg_catalog.date_bin").args([stride, value, moment(BINNED[0])]).into()
            }
        };
        let cut = if date { cut.cast_as("date") } else { cut };
        // Beyond these, PostgreSQL would fail, even for rows that the caller does not see: conditions on groups
        // become conditions on rows.
        let [first, last] = if several { BINNED } else { CUT };
        let within = whole.clone().between(moment(first), moment(last));
        Expr::case(within, cut).finally(whole).into()
    }

    /// A field of a point in time.
    pub(super) fn part(&mut self, value: Expr, cut: &Cut) -> Expr {
        let value = match &cut.zone {
            Some(zone) => local(zoned(value, cut), self.zone(zone)),
            None => value,
        };
        Func::cust("pg_catalog.extract").args([unit(cut), value]).into()
    }

    /// A time zone, which is checked before any row is read.
    fn zone(&mut self, zone: &Operand) -> Expr {
        let zone = self.parameters.shared(zone);
        self.guard(Guard::Zone(zone));
        place(zone)
    }
}

/// The value in the time zone in which it is truncated.
fn zoned(value: Expr, cut: &Cut) -> Expr {
    match cut.naive && cut.zone.is_some() {
        true => Func::cust("pg_catalog.timezone").args([text("UTC"), value]).into(),
        false => value,
    }
}

fn unit(cut: &Cut) -> Expr {
    text(cut.unit)
}

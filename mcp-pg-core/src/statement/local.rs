//! Points in time in the local time of a time zone.

use sea_query::{CaseStatement, DynIden, Expr, ExprTrait, Func};

use super::named;
use super::parameters::Parameters;
use crate::plan::{Operand, SelectPlan, Shown};

/// Within these bounds, a point in time can be converted to every time zone without an error.
const MOVABLE: [&str; 2] = ["4713-01-01 00:00:00+00 BC", "294276-12-01 00:00:00+00"];

/// The local time of a point in time; null outside the bounds.
pub(super) fn local(moment: Expr, zone: Expr) -> Expr {
    let [least, most] = MOVABLE.map(|end| Expr::Constant(end.into()).cast_as("timestamptz"));
    let movable = moment.clone().between(least, most);
    let moved = Func::cust("pg_catalog.timezone").args([zone, moment]);
    CaseStatement::new().case(movable, moved).into()
}

/// The time zone in which a group is shown.
pub(super) fn zone<'p>(plan: &'p SelectPlan<'_>, shown: &Shown<'_>) -> Option<&'p Operand> {
    let groups = &plan.grouping.as_ref()?.groups;
    let group = groups.iter().enumerate().find(|(position, _)| shown.is(*position));
    let cut = group?.1.cut.as_ref().filter(|cut| !cut.part)?;
    cut.zone.as_ref()
}

/// A group that is a point in time, and its local time: two columns, which PostgreSQL sends much faster than a
/// record.
pub(super) fn beside(
    parameters: &mut Parameters,
    alias: &DynIden,
    name: &str,
    zone: &Operand,
) -> [Expr; 2] {
    let moment = named(alias, name);
    let local = local(moment.clone(), parameters.share(zone));
    [moment, local]
}

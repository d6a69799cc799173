//! The columns that a change reads.

use super::{document, lost_members};
use crate::plan::ChangePlan;

/// The columns that are read before a change: all, for images or to check versions; otherwise those that identify a
/// row, if the user is `asked` to confirm, rows are `shown` or the request names its rows, documents that are changed or
/// replaced, and what is shown.
pub(super) fn looked_at(
    plan: &ChangePlan<'_>,
    images: bool,
    asked: bool,
    shown: bool,
) -> Vec<usize> {
    let readable = plan.table.readable_columns();
    if images || plan.versioned() {
        return readable.collect();
    }
    let mut read = [document::columns(plan), lost_members::columns(plan)].concat();
    read.extend(plan.returning.iter().filter(|_| shown).map(|returned| returned.position));
    let steady = if asked || shown { plan.table.steady_order() } else { Vec::new() };
    let each = plan.effect.each();
    let named = |column: &usize| {
        each.is_some_and(|each| each.is_named_by(&plan.table.table.columns[*column]))
            || steady.contains(column)
    };
    readable.filter(|column| named(column) || read.contains(column)).collect()
}

//! The note on a condition that only groups without rows would meet.

use crate::plan::{Comparison, Measure, Operand, Predicate, SelectPlan, Source};
use crate::schema::Operator;

impl SelectPlan<'_> {
    /// The note on groups that `having` looks for among those that have no rows.
    pub(crate) fn empty_groups(&self) -> Option<String> {
        let grouping = self.grouping.as_ref().filter(|grouping| !grouping.groups.is_empty())?;
        asks(&self.filter.caller, &grouping.measures).then(|| {
            "a group has at least one row: what has none does not appear; a select with {RELATION: {\"none\": {}}} in where finds \
             rows of another table without any"
                .to_owned()
        })
    }
}

/// Whether the condition, or an alternative in it, is that a group has no rows.
fn asks(condition: &Predicate<'_>, measures: &[Measure<'_>]) -> bool {
    match condition {
        Predicate::All(of) | Predicate::Any(of) => of.iter().any(|one| asks(one, measures)),
        Predicate::Test { column, comparison, .. } => {
            let named = |measure: &&Measure<'_>| measure.name == column.name;
            measures.iter().find(named).is_some_and(Measure::counts_all) && is_none(comparison)
        }
        _ => false,
    }
}

/// Whether only a count of 0 passes the test.
fn is_none(comparison: &Comparison) -> bool {
    let Comparison::Binary(operator, Operand { source: Source::Text(Some(most)), .. }) = comparison
    else {
        return false;
    };
    match operator {
        Operator::Eq | Operator::Lte => most == "0",
        Operator::Lt => most == "1",
        _ => false,
    }
}

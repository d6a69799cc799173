//! The note on a condition that only groups without rows would meet.

use crate::plan::{Comparison, Function, Node, Operand, SelectPlan, Source};
use crate::schema::Operator;

impl SelectPlan<'_> {
    /// The note on groups that `having` looks for among those that have no rows.
    pub(crate) fn empty_groups(&self) -> Option<String> {
        let grouping = self.grouping.as_ref().filter(|grouping| !grouping.groups.is_empty())?;
        let mut asked = false;
        Node::Condition(self.table, &self.filter.caller).each_test(&mut |test| {
            let counts = grouping.measures.iter().any(|measure| {
                measure.name == test.column.name
                    && matches!(measure.function, Function::Count | Function::CountDistinct)
                    && !measure.filter.restricts()
            });
            asked |= counts && is_none(test.comparison);
        });
        asked.then(|| {
            "a group has at least one row, and those without do not appear: a select of the rows that the groups stand for \
             finds them, with {\"orders\": {\"none\": {}}} in where"
                .to_owned()
        })
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

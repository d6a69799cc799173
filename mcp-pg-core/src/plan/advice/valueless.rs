//! Notes on rows that a computed value leaves out of a measure, a total or a condition, because one of its columns has no value.

use std::collections::HashSet;

use super::doubt::is_null;
use super::remark::{Tested, key, knows_null};
use crate::plan::{Expression, Measure, Node, Predicate, Reached, SelectPlan};

/// What a value is computed for.
#[derive(Clone, Copy)]
enum Purpose<'p> {
    Measure(&'p str),
    Total,
    Condition,
}

impl<'p> Node<'p, '_> {
    /// Adds the notes on the caller's computed values. Of `tested` columns nothing is to be said.
    pub(super) fn without_values(self, tested: &mut HashSet<Tested>, notes: &mut Vec<String>) {
        let (value, purpose) = match self {
            // What is computed from groups, and conditions on them, leave no rows out.
            Node::Select(SelectPlan { grouping: Some(grouping), .. }) => {
                return Node::Grouping(grouping).without_values(tested, notes);
            }
            Node::Measure(_, Measure { name, of, .. }) => (of.as_ref(), Purpose::Measure(name)),
            Node::Total(total) => (total.of.as_ref(), Purpose::Total),
            Node::Condition(_, Predicate::Computed { value, comparison })
                if !knows_null(comparison) =>
            {
                (Some(&**value), Purpose::Condition)
            }
            _ => (None, Purpose::Total),
        };
        if let Some(Expression::Computed(..)) = value {
            let mut columns = Vec::new();
            value.iter().for_each(|value| own_columns(value, &mut columns));
            // Of a single column, that is expected.
            let several =
                columns.iter().any(|of| key(&of.column, None) != key(&columns[0].column, None));
            for of in columns.into_iter().filter(|of| several && of.column.may_be_null) {
                if tested.insert(key(&of.column, None)) {
                    notes.push(note(of, purpose));
                }
            }
        }
        self.each_of_caller(&mut |node| node.without_values(tested, notes));
    }
}

/// The row's own columns from which a number is computed.
fn own_columns<'p, 'v>(value: &'p Expression<'v>, columns: &mut Vec<&'p Reached<'v>>) {
    match value {
        Expression::Column(of) if of.hops.is_empty() && of.member.is_none() => columns.push(of),
        Expression::Computed(_, parts) => {
            parts.iter().for_each(|part| own_columns(part, columns));
        }
        _ => {}
    }
}

fn note(of: &Reached<'_>, purpose: Purpose<'_>) -> String {
    let (name, null) = (&of.column.name, is_null(&of.column));
    match purpose {
        Purpose::Measure(measure) => format!(
            "rows where {name} is null are left out of {measure}: a measure with \"where\": {null} is about them"
        ),
        Purpose::Total => format!(
            "rows where {name} is null are left out of a total: another with \"where\": {null} is about them"
        ),
        Purpose::Condition => {
            format!(
                "rows where {name} is null are left out: {{\"or\": [{{…}}, {null}]}} takes them, too"
            )
        }
    }
}

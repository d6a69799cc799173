//! The columns that a read compares, for which an index could be used.

use crate::plan::{Comparison, Expression, Hop, Node, Operand, Predicate, SelectPlan, Source};
use crate::policy::TableView;
use crate::schema::{Column, DataType, Operator};
use crate::value::Decoder;

/// A compared column.
pub(super) struct Tested<'v> {
    pub(super) table: &'v TableView,
    pub(super) column: &'v Column,
    pub(super) sought: Sought,
    /// If it is compared to find related rows, of which there may be several: the number of that relation.
    pub(super) relation: Option<usize>,
}

/// What is compared.
#[derive(PartialEq, Eq)]
pub(super) enum Sought {
    /// The value.
    Value,
    /// The beginning of the text.
    Beginning,
    /// The value at a path in the JSON document.
    Member {
        /// The path.
        keys: Vec<String>,
        /// For equality: whether it is compared with a text (true) or with other JSON (false).
        text: Option<bool>,
    },
}

impl<'v> Tested<'v> {
    fn whole(table: &'v TableView, column: &'v Column) -> Self {
        Self { table, column, sought: Sought::Value, relation: None }
    }
}

/// The compared columns of a read: those of its table as far as they are visible, and those of related tables.
pub(super) fn columns<'p>(plan: &'p SelectPlan<'_>) -> Vec<Tested<'p>> {
    let mut all = All::default();
    all.look(match &plan.grouping {
        // The rest of the plan is about the groups.
        Some(grouping) => Node::Grouping(grouping),
        None => Node::Select(plan),
    });
    all.tested
}

#[derive(Default)]
struct All<'p> {
    tested: Vec<Tested<'p>>,
    /// The number of relations to many so far.
    relations: usize,
}

impl<'p> All<'p> {
    fn look(&mut self, node: Node<'p, '_>) {
        match node {
            // What the role's own condition compares is not shown.
            Node::Filter(table, filter) => {
                let parts = filter.requested().into_iter();
                return parts.for_each(|part| self.look(Node::Condition(table, part)));
            }
            Node::Hop(hop) => return self.hop(hop),
            Node::Measure(table, _) => return self.measure(table, node),
            Node::Condition(table, Predicate::Test { column, path, comparison }) => {
                // What the operator's own conditions compare may be hidden.
                let known = column.whole().and_then(|column| table.column(&column.name));
                let sought = sought(path.as_ref(), comparison);
                let tested = |(_, column)| Tested { sought, ..Tested::whole(table, column) };
                self.tested.extend(known.map(tested));
            }
            // No index helps to compare columns of the same row, or values computed from them.
            Node::Condition(table, Predicate::Compared { left, right, .. })
                if matches!(**right, Expression::Now(_)) =>
            {
                let own = left.column().filter(|of| of.hops.is_empty());
                let column = own.and_then(|of| of.column.whole());
                self.tested.extend(column.map(|column| Tested::whole(table, column)));
            }
            _ => {}
        }
        node.each(&mut |node| self.look(node));
    }

    /// Adds the columns of a measure, whose own condition leaves out no rows of the table.
    fn measure(&mut self, table: &TableView, measure: Node<'p, '_>) {
        measure.each(&mut |node| {
            let before = std::mem::take(&mut self.tested);
            self.look(node);
            if matches!(node, Node::Condition(..)) {
                let other =
                    |it: &Tested<'_>| it.relation.is_some() || it.table.name() != table.name();
                self.tested.retain(other);
            }
            self.tested.splice(..0, before);
        });
    }

    /// Adds the columns at the end of a hop.
    fn hop(&mut self, hop: &'p Hop<'_>) {
        let near = hop.junction.as_ref().map_or(hop.table, |(junction, _)| *junction);
        let columns = hop.relation.columns.iter();
        self.relations += usize::from(!hop.is_to_one());
        let relation = Some(self.relations).filter(|_| !hop.is_to_one());
        self.tested.extend(columns.map(|(_, theirs)| Tested {
            relation,
            ..Tested::whole(near, &near.table.columns[*theirs])
        }));
    }
}

/// What a test compares of a column.
fn sought(path: Option<&Operand>, comparison: &Comparison) -> Sought {
    let text = |operand: &Operand| match &operand.source {
        Source::Text(Some(text)) => text.clone(),
        _ => String::new(),
    };
    // A path in an operator's condition is not shown.
    if let Some(path) = path.filter(|path| path.place().is_some()) {
        let keys = Decoder::for_type(DataType::texts()).decode(Some(text(path).as_bytes()));
        let keys = serde_json::from_value(keys.unwrap_or_default()).unwrap_or_default();
        let text = match comparison {
            Comparison::Binary(Operator::Eq, operand) => Some(text(operand).starts_with('"')),
            Comparison::Listed(false, operand) => Some(text(operand).starts_with("{\"\\\"")),
            _ => None,
        };
        return Sought::Member { keys, text };
    }
    match comparison {
        Comparison::Binary(Operator::Like, operand)
            if path.is_none() && !text(operand).starts_with(['%', '_']) =>
        {
            Sought::Beginning
        }
        _ => Sought::Value,
    }
}

//! One walk over plans. Whoever looks for something in the whole of a plan goes from node to node with [`Node::each`], which
//! names every member, so that the compiler reports one that is new.

use super::{
    Comparison, Computed, Expression, Group, Grouping, Hop, Include, Measure, Moved, Operand,
    Predicate, Reached, RowFilter, SelectPlan, Shown, Slot, Sort, SortKey, Total,
};
use crate::policy::TableView;

/// A part of a plan that may have further parts.
#[derive(Clone, Copy)]
pub(crate) enum Node<'p, 'v> {
    /// Rows to read.
    Select(&'p SelectPlan<'v>),
    /// The groups and measures of an aggregate.
    Grouping(&'p Grouping<'v>),
    /// A measure of rows of a table.
    Measure(&'p TableView, &'p Measure<'v>),
    /// Related rows that are returned.
    Include(&'p Include<'v>),
    /// A returned value.
    Shown(&'p Shown<'v>),
    /// A sort key.
    Sort(&'p Sort<'v>),
    /// The condition on the rows of a table, by where its parts come from.
    Filter(&'p TableView, &'p RowFilter<'v>),
    /// A condition on rows of a table, or a part of one.
    Condition(&'p TableView, &'p Predicate<'v>),
    /// A value of a row.
    Value(&'p Expression<'v>),
    /// A column, with the way to it.
    Reached(&'p Reached<'v>),
    /// A total of related rows.
    Total(&'p Total<'v>),
    /// A step to related rows, with the conditions on them that are not the caller's.
    Hop(&'p Hop<'v>),
}

/// A test of a column.
pub(crate) struct Test<'p, 'v> {
    /// The table.
    pub(crate) table: &'p TableView,
    /// The column, or a part of it.
    pub(crate) column: &'p Slot<'v>,
    /// The path to a part of its JSON.
    pub(crate) path: Option<&'p Operand>,
    /// The test.
    pub(crate) comparison: &'p Comparison,
}

impl<'p, 'v> Node<'p, 'v> {
    /// Whether this node or one below it is what is looked for.
    pub(crate) fn any(self, is: &dyn Fn(Self) -> bool) -> bool {
        let mut found = is(self);
        if !found {
            self.each(&mut |node| found = found || node.any(is));
        }
        found
    }

    /// Whether it depends on the current time: itself, or the rows that it is about.
    pub(super) fn moves(self) -> bool {
        self.any(&|node| matches!(node, Node::Value(Expression::Now(_) | Expression::Period(_))))
    }

    /// Whether it reaches rows of a view.
    pub(super) fn reaches_view(self) -> bool {
        self.any(&|node| matches!(node, Node::Hop(hop) if hop.leads_to_view()))
    }

    /// Whether PostgreSQL may find rows of a related table by an index on what the role does not see.
    pub(super) fn is_found_by_hidden(self) -> bool {
        self.any(&|node| matches!(node, Node::Hop(hop) if hop.is_found_by_hidden()))
    }

    /// Calls `look` for each test of a column in the caller's conditions.
    pub(super) fn each_test(self, look: &mut dyn FnMut(Test<'p, 'v>)) {
        match self {
            Node::Condition(table, Predicate::Test { column, path, comparison }) => {
                look(Test { table, column, path: path.as_ref(), comparison });
            }
            _ => self.each_of_caller(&mut |node| node.each_test(look)),
        }
    }

    /// [`Node::each`] without conditions that are not the caller's.
    pub(crate) fn each_of_caller(self, look: &mut dyn FnMut(Self)) {
        match self {
            Node::Hop(_) => {}
            Node::Filter(table, filter) => look(Node::Condition(table, &filter.caller)),
            _ => self.each(look),
        }
    }

    /// Calls `look` for each node directly below this one.
    pub(crate) fn each(self, look: &mut dyn FnMut(Self)) {
        match self {
            Node::Select(plan) => of_select(plan, look),
            Node::Grouping(grouping) => of_grouping(grouping, look),
            Node::Measure(table, measure) => {
                let Measure { name: _, function: _, fraction: _, of, data_type: _, filter } =
                    measure;
                of.iter().for_each(|of| look(Node::Value(of)));
                look(Node::Condition(table, filter));
            }
            Node::Include(include) => of_include(include, look),
            Node::Shown(Shown::Column(_)) => {}
            Node::Shown(Shown::Computed(computed)) => of_computed(computed, look),
            Node::Shown(Shown::Related { name: _, of }) => look(Node::Reached(of)),
            Node::Sort(sort) => of_sort(sort, look),
            Node::Filter(table, RowFilter { caller, archive, role }) => {
                let parts = [caller, archive].into_iter().chain(role);
                parts.for_each(|part| look(Node::Condition(table, part)));
            }
            Node::Condition(table, condition) => of_condition(table, condition, look),
            Node::Value(value) => of_value(value, look),
            Node::Reached(Reached { hops, column: _, position: _, member: _ }) => {
                hops.iter().for_each(|hop| look(Node::Hop(hop)));
            }
            Node::Total(total) => of_total(total, look),
            Node::Hop(Hop { subject: _, relation: _, table, visible, junction }) => {
                look(Node::Condition(table, visible));
                if let Some((middle, visible)) = junction {
                    look(Node::Condition(middle, visible));
                }
            }
        }
    }
}

type Look<'l, 'p, 'v> = &'l mut dyn FnMut(Node<'p, 'v>);

fn of_select<'p, 'v>(plan: &'p SelectPlan<'v>, look: Look<'_, 'p, 'v>) {
    let SelectPlan { table, grouping, columns, includes, filter, order, .. } = plan;
    let SelectPlan { keyset: _, single: _, start: _, limit: _, with_version: _, .. } = plan;
    let SelectPlan { count: _, format: _, query: _, .. } = plan;
    grouping.iter().for_each(|grouping| look(Node::Grouping(grouping)));
    look(Node::Filter(table, filter));
    columns.iter().for_each(|shown| look(Node::Shown(shown)));
    order.iter().for_each(|sort| look(Node::Sort(sort)));
    includes.iter().for_each(|include| look(Node::Include(include)));
}

fn of_grouping<'p, 'v>(grouping: &'p Grouping<'v>, look: Look<'_, 'p, 'v>) {
    let Grouping { table, filter, groups, measures, computed } = grouping;
    look(Node::Filter(table, filter));
    for Group { name: _, of, cut: _, each: _ } in groups {
        look(Node::Value(of));
    }
    measures.iter().for_each(|measure| look(Node::Measure(table, measure)));
    computed.iter().for_each(|computed| of_computed(computed, look));
}

fn of_include<'p, 'v>(include: &'p Include<'v>, look: Look<'_, 'p, 'v>) {
    let Include { hop, columns, filter, order, includes, .. } = include;
    let Include { name: _, unambiguous: _, mark: _, limit: _, counted: _, room: _, .. } = include;
    look(Node::Hop(hop));
    look(Node::Condition(hop.table, filter));
    columns.iter().for_each(|shown| look(Node::Shown(shown)));
    order.iter().for_each(|sort| look(Node::Sort(sort)));
    includes.iter().for_each(|include| look(Node::Include(include)));
}

fn of_computed<'p, 'v>(computed: &'p Computed<'v>, look: Look<'_, 'p, 'v>) {
    let Computed { name: _, of } = computed;
    look(Node::Value(of));
}

fn of_sort<'p, 'v>(sort: &'p Sort<'v>, look: Look<'_, 'p, 'v>) {
    let Sort { key, shown: _, nullable: _, descending: _, nulls_last: _ } = sort;
    match key {
        SortKey::Value(of) | SortKey::Rank(of, _) | SortKey::Distance(of, _) => {
            look(Node::Reached(of));
        }
        SortKey::Computed(of) => look(Node::Value(of)),
        SortKey::Place => {}
    }
}

fn of_condition<'p, 'v>(
    table: &'p TableView,
    condition: &'p Predicate<'v>,
    look: Look<'_, 'p, 'v>,
) {
    match condition {
        Predicate::All(parts) | Predicate::Any(parts) => {
            parts.iter().for_each(|part| look(Node::Condition(table, part)));
        }
        Predicate::Not(inner) => look(Node::Condition(table, inner)),
        Predicate::Test { column: _, path: _, comparison: _ } => {}
        Predicate::Computed { value, comparison: _ } => look(Node::Value(value)),
        Predicate::Compared { left, operator: _, right } => {
            [left, right].into_iter().for_each(|side| look(Node::Value(side)));
        }
        Predicate::Related { hop, quantifier: _, filter } => {
            look(Node::Hop(hop));
            look(Node::Condition(hop.table, filter));
        }
    }
}

fn of_value<'p, 'v>(value: &'p Expression<'v>, look: Look<'_, 'p, 'v>) {
    match value {
        Expression::Column(of) => look(Node::Reached(of)),
        Expression::Number(_)
        | Expression::Given(..)
        | Expression::Now(_)
        | Expression::Period(_) => {}
        Expression::Computed(_, parts) => parts.iter().for_each(|part| look(Node::Value(part))),
        Expression::Elapsed(ends, _) => ends.iter().for_each(|end| look(Node::Value(end))),
        Expression::Moved(moved) => {
            let Moved { of, by: _, within: _ } = &**moved;
            look(Node::Reached(of));
        }
        Expression::Total(total) => look(Node::Total(total)),
        Expression::Part { of, cut: _ } | Expression::Whole(of) => look(Node::Value(of)),
    }
}

fn of_total<'p, 'v>(total: &'p Total<'v>, look: Look<'_, 'p, 'v>) {
    // Its columns are those of what it is a total of.
    let Total { function: _, hop, filter, of, columns: _, conditions: _, depth: _, bare: _ } =
        total;
    look(Node::Hop(hop));
    look(Node::Condition(hop.table, filter));
    of.iter().for_each(|of| look(Node::Value(of)));
}

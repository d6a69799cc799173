//! The columns that a read compares, for which an index could be used.

use crate::plan::{
    Comparison, Expression, Grouping, Hop, Include, Operand, Predicate, SelectPlan, Shown, Sort,
    SortKey, Source, Total,
};
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
pub(super) fn columns<'v>(plan: &SelectPlan<'v>) -> Vec<Tested<'v>> {
    let mut all = All::default();
    let (table, filter) = plan.source();
    // What the role's own condition compares is not shown.
    filter.requested().into_iter().for_each(|part| all.conditions(table, part));
    all.shown(&plan.columns);
    all.included(&plan.includes);
    all.sorted(&plan.order);
    if let Some(grouping) = &plan.grouping {
        all.grouped(grouping);
    }
    all.0
}

#[derive(Default)]
struct All<'v>(Vec<Tested<'v>>);

impl<'v> All<'v> {
    /// Adds the columns of a condition, on the table and on related tables.
    fn conditions(&mut self, table: &'v TableView, filter: &Predicate<'v>) {
        match filter {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().for_each(|part| self.conditions(table, part));
            }
            Predicate::Not(inner) => self.conditions(table, inner),
            Predicate::Compared { left, right, .. } => {
                let present = matches!(**right, Expression::Now(_));
                [left, right].into_iter().for_each(|side| self.compared(table, side, present));
            }
            Predicate::Computed { value, .. } => self.expression(value),
            Predicate::Test { column, path, comparison } => {
                // What the operator's own conditions compare may be hidden.
                let known = column.whole().and_then(|column| table.column(&column.name));
                let sought = sought(path.as_ref(), comparison);
                self.0.extend(
                    known.map(|(_, column)| Tested { sought, ..Tested::whole(table, column) }),
                );
            }
            Predicate::Related { hop, filter, .. } => self.related(hop, filter),
        }
    }

    /// Adds the columns of a comparison; `present` if it is with the current time. No index helps to compare columns
    /// of the same row, or values computed from them.
    fn compared(&mut self, table: &'v TableView, value: &Expression<'v>, present: bool) {
        self.expression(value);
        if let Some(reached) = value.column().filter(|of| present && of.hops.is_empty()) {
            self.0.extend(reached.column.whole().map(|column| Tested::whole(table, column)));
        }
    }

    fn included(&mut self, includes: &[Include<'v>]) {
        for include in includes {
            self.related(&include.hop, &include.filter);
            self.shown(&include.columns);
            self.included(&include.includes);
            self.sorted(&include.order);
        }
    }

    fn shown(&mut self, shown: &[Shown<'v>]) {
        for shown in shown {
            match shown {
                Shown::Column(_) => {}
                Shown::Computed(computed) => self.expression(&computed.of),
                Shown::Related { of, .. } => self.hops(&of.hops),
            }
        }
    }

    fn sorted(&mut self, order: &[Sort<'v>]) {
        for sort in order {
            match &sort.key {
                SortKey::Value(of) | SortKey::Rank(of, _) | SortKey::Distance(of, _) => {
                    self.hops(&of.hops);
                }
                SortKey::Computed(expression) => self.expression(expression),
                SortKey::Place => {}
            }
        }
    }

    /// Adds the columns of groups and measures. A measure's own condition leaves out no rows of the table.
    fn grouped(&mut self, grouping: &Grouping<'v>) {
        let groups = grouping.groups.iter().map(|group| &group.of);
        let measured = grouping.measures.iter().filter_map(|measure| measure.of.as_ref());
        groups.chain(measured).for_each(|of| self.expression(of));
        let mut measured = Self::default();
        for measure in &grouping.measures {
            measured.conditions(grouping.table, &measure.filter);
        }
        let beyond = |tested: &Tested<'v>| tested.table.name() != grouping.table.name();
        self.0.extend(measured.0.into_iter().filter(beyond));
    }

    fn expression(&mut self, of: &Expression<'v>) {
        of.columns().into_iter().for_each(|reached| self.hops(&reached.hops));
        for Total { hop, filter, .. } in of.totals() {
            self.related(hop, filter);
        }
    }

    /// Adds the columns by which related rows are found, and those of the condition on them.
    fn related(&mut self, hop: &Hop<'v>, filter: &Predicate<'v>) {
        self.hops(std::slice::from_ref(hop));
        self.conditions(hop.table, filter);
    }

    /// Adds the columns at the end of each hop.
    fn hops(&mut self, hops: &[Hop<'v>]) {
        for hop in hops {
            let near = hop.junction.as_ref().map_or(hop.table, |(junction, _)| *junction);
            let columns = hop.relation.columns.iter();
            let relation = Some(self.0.len()).filter(|_| !hop.is_to_one());
            self.0.extend(columns.map(|(_, theirs)| Tested {
                relation,
                ..Tested::whole(near, &near.table.columns[*theirs])
            }));
        }
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

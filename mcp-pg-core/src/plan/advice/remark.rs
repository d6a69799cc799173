//! Notes on conditions that leave out more rows than they seem to, or that name values which no row has. They are true
//! whatever is found.

use std::collections::HashSet;

use serde_json::Value;

use super::doubt::is_null;
use super::included::Included;
use crate::plan::{
    ChangePlan, Comparison, Expression, Node, Operand, Predicate, Quantifier, RowFilter,
    SelectPlan, Slot, Source, Test,
};
use crate::policy::{Action, Sealed, TableView};
use crate::schema::{Column, DataType, Operator};
use crate::value::Decoder;

/// The most values of a list in a note.
const VALUES_MOST: usize = 20;

/// The most notes on a request's conditions.
const NOTES_MOST: usize = 5;

impl SelectPlan<'_> {
    /// The notes on the caller's conditions on rows of tables: its own, and those of totals, measures and included rows.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let (table, filter) = self.source();
        remarks(Node::Select(self), &Included::of(table, filter))
    }
}

impl ChangePlan<'_> {
    /// [`SelectPlan::remarks`] for the rows of a write.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let included = match self.action {
            Action::Archive | Action::Restore => Included::never(self.table),
            _ => Included::of(self.table, &self.filter),
        };
        remarks(Node::Filter(self.table, &self.filter), &included)
    }
}

impl RowFilter<'_> {
    /// The notes on values that no row of the table has.
    pub(crate) fn unlisted(&self, table: &TableView) -> Vec<String> {
        unlisted(Node::Filter(table, self))
    }
}

fn remarks(plan: Node<'_, '_>, included: &Included<'_>) -> Vec<String> {
    let (mut tested, mut notes) = (HashSet::new(), unlisted(plan));
    included.without_archived(plan, &mut notes);
    // Columns that are tested for null, or where null counts as a value.
    plan.each_test(&mut |test| {
        if knows_null(test.comparison) {
            tested.insert(key(test.column, test.path));
        }
    });
    plan.without_nulls(false, &mut tested, &mut notes);
    // A condition on the column shows that its rows without a value are no surprise.
    plan.each_test(&mut |test| {
        tested.insert(key(test.column, None));
    });
    plan.without_values(&mut tested, &mut notes);
    notes.truncate(NOTES_MOST);
    notes
}

/// Notes on texts that are compared with a column, and that a check constraint allows in no row.
fn unlisted(plan: Node<'_, '_>) -> Vec<String> {
    let mut notes = Vec::new();
    plan.each_test(&mut |test| {
        let note = unlisted_test(&test).filter(|note| !notes.contains(note));
        notes.extend(note);
    });
    notes
}

fn unlisted_test(test: &Test<'_, '_>) -> Option<String> {
    let column = test.column.whole().filter(|_| test.path.is_none())?;
    let data_type = column.data_type.base();
    if !data_type.is_text() || data_type.is_citext() || !data_type.collation.deterministic {
        return None;
    }
    let choices = test.table.choices(column)?;
    let given = given(test.comparison);
    let known = |text: &&String| choices.iter().any(|one| same(one, text));
    let unknown: Vec<&String> = given.iter().filter(|text| !known(text)).collect();
    unlisted_note(&column.name, &unknown, choices)
}

/// A column with the path of a member, by which its tests are told from those of others.
pub(super) type Tested = (usize, String);

pub(super) fn key(column: &Slot<'_>, path: Option<&Operand>) -> Tested {
    let whole = match column {
        Slot::Whole(whole) | Slot::Part { whole, .. } => std::ptr::from_ref(*whole).addr(),
    };
    let path = path.and_then(text).unwrap_or_default();
    (whole, column.condition(path))
}

fn text(operand: &Operand) -> Option<&str> {
    match &operand.source {
        Source::Text(text) => text.as_deref(),
        _ => None,
    }
}

impl Node<'_, '_> {
    /// Notes on tests that seem to hold for rows without a value: `ne`, `not_in`, and others that are negated. `tested` are the
    /// columns of which nothing is to be said.
    fn without_nulls(self, negated: bool, tested: &mut HashSet<Tested>, notes: &mut Vec<String>) {
        let negated = match self {
            Node::Condition(_, Predicate::All(_) | Predicate::Any(_)) => negated,
            Node::Condition(_, Predicate::Not(_)) => !negated,
            Node::Condition(_, Predicate::Related { quantifier, .. })
                if negated || *quantifier != Quantifier::Some =>
            {
                return;
            }
            Node::Condition(table, Predicate::Test { column, path, comparison }) => {
                if !knows_null(comparison) {
                    let test = Test { table, column, path: path.as_ref(), comparison };
                    notes.extend(left_out(&test, negated, tested));
                }
                return;
            }
            Node::Condition(_, Predicate::Compared { left, operator: Operator::Ne, .. })
                if !negated =>
            {
                notes.extend(left_out_unequal(left, tested));
                false
            }
            _ => false,
        };
        self.each_of_caller(&mut |node| node.without_nulls(negated, tested, notes));
    }
}

/// The note on the rows without a value that a test leaves out.
fn left_out(test: &Test<'_, '_>, negated: bool, tested: &mut HashSet<Tested>) -> Option<String> {
    let differs = matches!(
        test.comparison,
        Comparison::Binary(Operator::Ne, _) | Comparison::Listed(true, _)
    );
    let sealed = sealed(test).map(Slot::Whole);
    let column = sealed.as_ref().unwrap_or(test.column);
    let left_out = column.can_select && column.may_be_null && differs != negated;
    if !left_out || !tested.insert(key(column, test.path)) {
        return None;
    }
    let differs = differs.then_some(test.comparison);
    Some(left_out_note(column, test.path.is_some(), differs))
}

/// The encrypted column whose blind index is tested, which the caller does not see.
fn sealed<'p>(test: &Test<'p, '_>) -> Option<&'p Column> {
    let index = test.column.whole().filter(|column| !column.can_select)?;
    let has = |sealed: &Sealed| sealed.index().is_some_and(|known| known.name == index.name);
    let mut columns = test.table.table.columns.iter();
    columns.find(|column| test.table.sealed(&column.name).is_some_and(has))
}

/// The note on the rows without a value in a column that must not be equal to something else.
fn left_out_unequal(left: &Expression<'_>, tested: &mut HashSet<Tested>) -> Option<String> {
    let of = left.column().filter(|of| of.hops.is_empty() && of.column.may_be_null)?;
    let column = &of.column;
    tested.insert(key(column, None)).then(|| {
        let note = format!("rows where {} is null are left out", column.name);
        format!("{note}: {} takes them, too", is_distinct(column))
    })
}

/// Whether null passes the test or fails it, as any other value.
pub(super) fn knows_null(comparison: &Comparison) -> bool {
    matches!(comparison, Comparison::Null(_) | Comparison::Binary(Operator::IsDistinctFrom, _))
}

fn is_distinct(column: &Slot<'_>) -> String {
    column.condition("\"is_distinct_from\": …")
}

/// The note on rows without a value. `differs` is the test, unless one of another kind is negated.
fn left_out_note(column: &Slot<'_>, member: bool, differs: Option<&Comparison>) -> String {
    let name = &column.name;
    let or = |test: &str, null: &str| format!("{{\"or\": [{test}, {null}]}}");
    let (subject, null) = match member {
        true => (
            format!("without this member of {name}"),
            column.condition("\"path\": […], \"is_null\": true"),
        ),
        false => (format!("where {name} is null"), is_null(column)),
    };
    let instead = match differs {
        Some(Comparison::Listed(..)) if member => or("{…}", &null),
        Some(Comparison::Listed(..)) => or(&column.condition("\"not_in\": […]"), &null),
        Some(_) if member => column.condition("\"path\": […], \"is_distinct_from\": …"),
        Some(_) => is_distinct(column),
        None => or("{\"not\": {…}}", &null),
    };
    format!("rows {subject} are left out: {instead} takes them, too")
}

/// The note on texts that are not among the choices.
fn unlisted_note(name: &str, unknown: &[&String], choices: &[String]) -> Option<String> {
    let given: Vec<String> =
        unknown.iter().take(VALUES_MOST).map(|text| format!("{text:?}")).collect();
    let most = choices.len().min(VALUES_MOST);
    let rest = if choices.len() > most { ", …" } else { "" };
    let known = choices[..most].join(", ");
    (!given.is_empty())
        .then(|| format!("{name} is never {}: it is one of {known}{rest}", given.join(" or ")))
}

/// The texts that a column is compared with for equality.
fn given(comparison: &Comparison) -> Vec<String> {
    match comparison {
        Comparison::Binary(Operator::Eq | Operator::Ne | Operator::IsDistinctFrom, operand) => {
            text(operand).map(str::to_owned).into_iter().collect()
        }
        Comparison::Listed(_, operand) => text(operand).map(elements).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// The elements of a `text[]` in PostgreSQL's text form.
pub(super) fn elements(list: &str) -> Vec<String> {
    let list = Decoder::read(DataType::texts(), list).unwrap_or_default();
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether two texts are equal, but for the blanks that fill up `char(n)`.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches(' ') == other.trim_end_matches(' ')
}

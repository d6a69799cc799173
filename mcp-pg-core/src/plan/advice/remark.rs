//! Notes on conditions that leave out more rows than they seem to, or that name values which no row has. They are true
//! whatever is found.

use std::collections::HashSet;

use super::doubt::is_null;
use crate::plan::{
    Comparison, Expression, Include, Operand, Predicate, Quantifier, RowFilter, SelectPlan, Slot,
    Source,
};
use crate::policy::TableView;
use crate::schema::Operator;

/// The most values of a list in a note.
const VALUES_MOST: usize = 20;

/// The most notes on a request's conditions.
const NOTES_MOST: usize = 5;

impl<'v> SelectPlan<'v> {
    /// The caller's conditions on rows of tables: its own, those of measures and of included rows.
    pub(super) fn conditions(&self) -> Vec<(&'v TableView, &Predicate<'v>)> {
        let mut all = Vec::new();
        if let Some(grouping) = &self.grouping {
            all.push((grouping.table, &grouping.filter.caller));
            all.extend(grouping.measures.iter().map(|measure| (grouping.table, &measure.filter)));
        }
        all.push((self.table, &self.filter.caller));
        of_includes(&self.includes, &mut all);
        all
    }

    /// The notes on the caller's conditions.
    pub(crate) fn remarks(&self) -> Vec<String> {
        remarks(&self.conditions())
    }
}

fn of_includes<'p, 'v>(
    includes: &'p [Include<'v>],
    all: &mut Vec<(&'v TableView, &'p Predicate<'v>)>,
) {
    for include in includes {
        all.push((include.hop.table, &include.filter));
        of_includes(&include.includes, all);
    }
}

impl RowFilter<'_> {
    /// [`SelectPlan::remarks`] for one condition.
    pub(crate) fn remarks(&self, table: &TableView) -> Vec<String> {
        remarks(&[(table, &self.caller)])
    }

    /// The notes on values that no row of the table has.
    pub(crate) fn unlisted(&self, table: &TableView) -> Vec<String> {
        let mut notes = Vec::new();
        self.caller.unlisted(table, &mut notes);
        notes
    }
}

fn remarks(conditions: &[(&TableView, &Predicate<'_>)]) -> Vec<String> {
    let (mut tested, mut notes) = (HashSet::new(), Vec::new());
    for (table, condition) in conditions {
        condition.null_tests(&mut tested);
        condition.unlisted(table, &mut notes);
    }
    for (_, condition) in conditions {
        condition.without_nulls(false, &mut tested, &mut notes);
    }
    notes.truncate(NOTES_MOST);
    notes
}

/// A column with the path of a member, by which its tests are told from those of others.
type Tested = (usize, String);

fn key(column: &Slot<'_>, path: Option<&Operand>) -> Tested {
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

impl Predicate<'_> {
    /// The columns that are tested for null, or where null counts as a value.
    fn null_tests(&self, tested: &mut HashSet<Tested>) {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().for_each(|part| part.null_tests(tested));
            }
            Predicate::Not(inner) => inner.null_tests(tested),
            Predicate::Related { filter, .. } => filter.null_tests(tested),
            Predicate::Test { column, path, comparison } if knows_null(comparison) => {
                tested.insert(key(column, path.as_ref()));
            }
            Predicate::Test { .. } | Predicate::Computed { .. } | Predicate::Compared { .. } => {}
        }
    }

    /// Notes on tests that seem to hold for rows without a value: `ne`, `not_in`, and others that are negated. `tested` are the
    /// columns of which nothing is to be said.
    fn without_nulls(&self, negated: bool, tested: &mut HashSet<Tested>, notes: &mut Vec<String>) {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().for_each(|part| part.without_nulls(negated, tested, notes));
            }
            Predicate::Not(inner) => inner.without_nulls(!negated, tested, notes),
            Predicate::Related { quantifier: Quantifier::Some, filter, .. } if !negated => {
                filter.without_nulls(false, tested, notes);
            }
            Predicate::Computed { value, .. } => {
                let filter = value.counted().map(|total| &total.filter);
                filter.into_iter().for_each(|filter| filter.without_nulls(false, tested, notes));
            }
            Predicate::Test { column, path, comparison } if !knows_null(comparison) => {
                let differs = matches!(
                    comparison,
                    Comparison::Binary(Operator::Ne, _) | Comparison::Listed(true, _)
                );
                // The caller does not see a blind index.
                let left_out = column.can_select && column.may_be_null && differs != negated;
                if left_out && tested.insert(key(column, path.as_ref())) {
                    let differs = differs.then_some(comparison);
                    notes.push(left_out_note(column, path.is_some(), differs));
                }
            }
            Predicate::Compared { left, operator: Operator::Ne, .. } if !negated => {
                let Expression::Column(of) = &**left else { return };
                let (own, column) = (of.hops.is_empty() && of.column.may_be_null, &of.column);
                if own && tested.insert(key(column, None)) {
                    let note = format!("rows where {} is null are left out", column.name);
                    notes.push(format!("{note}: {} takes them, too", is_distinct(column)));
                }
            }
            Predicate::Related { .. } | Predicate::Test { .. } | Predicate::Compared { .. } => {}
        }
    }

    /// Notes on texts that are compared with a column, and that a check constraint allows in no row.
    fn unlisted(&self, table: &TableView, notes: &mut Vec<String>) {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().for_each(|part| part.unlisted(table, notes));
            }
            Predicate::Not(inner) => inner.unlisted(table, notes),
            Predicate::Related { hop, filter, .. } => filter.unlisted(hop.table, notes),
            Predicate::Computed { value, .. } => {
                let total = value.counted();
                total.into_iter().for_each(|total| total.filter.unlisted(total.hop.table, notes));
            }
            Predicate::Test { column: Slot::Whole(column), path: None, comparison } => {
                let data_type = column.data_type.base();
                if !data_type.is_text()
                    || data_type.is_citext()
                    || !data_type.collation.deterministic
                {
                    return;
                }
                let given = given(comparison);
                let Some(choices) = table.table.choices(column).filter(|_| !given.is_empty())
                else {
                    return;
                };
                let known = |text: &&String| choices.iter().any(|one| same(one, text));
                let unknown: Vec<&String> = given.iter().filter(|text| !known(text)).collect();
                notes.extend(unlisted_note(&column.name, &unknown, &choices));
            }
            Predicate::Test { .. } | Predicate::Compared { .. } => {}
        }
    }
}

/// Whether null passes the test or fails it, as any other value.
fn knows_null(comparison: &Comparison) -> bool {
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
    let (mut all, mut element) = (Vec::new(), String::new());
    let (mut quoted, mut escaped) = (false, false);
    let inner = list.strip_prefix('{').and_then(|list| list.strip_suffix('}')).unwrap_or_default();
    for letter in inner.chars() {
        match letter {
            _ if escaped => {
                element.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut element)),
            _ => element.push(letter),
        }
    }
    all.push(element);
    all
}

/// Whether two texts are equal, but for the blanks that fill up `char(n)`.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches(' ') == other.trim_end_matches(' ')
}

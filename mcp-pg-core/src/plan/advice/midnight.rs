//! Notes on dates compared with timestamps: they mean midnight, which is seldom intended.

use crate::plan::{Comparison, Node, Operand, RowFilter, SelectPlan, Source};
use crate::policy::TableView;
use crate::schema::{Column, Operator};
use crate::value::day_after;

impl SelectPlan<'_> {
    /// The note on a condition of the caller that compares a timestamp with a date, which means its midnight.
    pub fn midnight(&self) -> Option<String> {
        cut_day(Node::Select(self))
    }
}

impl RowFilter<'_> {
    /// [`SelectPlan::midnight`] for one condition.
    pub fn midnight(&self, table: &TableView) -> Option<String> {
        cut_day(Node::Filter(table, self))
    }
}

fn cut_day(plan: Node<'_, '_>) -> Option<String> {
    let mut note = None;
    plan.each_test(&mut |test| {
        if note.is_none() && test.path.is_none() {
            note = cut(test.column, test.comparison);
        }
    });
    note
}

/// The note on a test of a timestamp column whose operand is a date.
fn cut(column: &Column, comparison: &Comparison) -> Option<String> {
    // The caller does not see a blind index.
    let bound = column.data_type.bound().filter(|bound| bound.is_timestamp());
    if !column.can_select || !column.data_type.is_timestamp() && bound.is_none() {
        return None;
    }
    let (day, meant) = match comparison {
        Comparison::Binary(Operator::Lte, operand) => {
            let (day, next) = day(operand)?;
            (day, format!("{{\"lt\": {next:?}}} includes the whole of {day}"))
        }
        Comparison::Binary(Operator::Gt, operand) => {
            let (day, next) = day(operand)?;
            (day, format!("{{\"gte\": {next:?}}} excludes the whole of {day}"))
        }
        Comparison::Listed(_, operand) => {
            let (day, next) = day(operand)?;
            (day, format!("{{\"gte\": {day:?}, \"lt\": {next:?}}} is the whole of {day}"))
        }
        Comparison::ContainsElement(_, operand) => {
            let (day, next) = day(operand)?;
            let within = format!("{{\"overlaps\": {{\"lower\": {day:?}, \"upper\": {next:?}}}}}");
            (day, format!("{within} is any time of {day}"))
        }
        _ => return None,
    };
    let name = &column.name;
    Some(format!(
        "{name} has a time of day, and was compared with midnight at which {day} begins: {meant}"
    ))
}

/// A date without a time, alone or in a list, and the day after it.
fn day(operand: &Operand) -> Option<(&str, String)> {
    let Source::Text(Some(text)) = &operand.source else { return None };
    let mut items = text.split(['{', '}', ',', '"']);
    items.find_map(|item| Some((item, day_after(item)?)))
}

//! Notes on valid requests that may not mean what was intended: conditions that matched no row, JSON that was written
//! as text.

use serde::de::IgnoredAny;
use serde_json::Value;

use super::nested_list::in_elements;
use super::remark::elements;
use crate::plan::advice;
use crate::plan::{
    Assign, Comparison, Effect, Expression, Operand, Plan, Predicate, RowFilter, Slot, Source,
};
use crate::schema::{Column, Family, Kind, Operator};
use crate::value::{day_after, escape_like};

/// The maximum length of a note, which may repeat a value of the caller's.
const LONGEST: usize = 1_000;

impl RowFilter<'_> {
    /// The note on the caller's condition, if it matched no row.
    pub(crate) fn doubt(&self) -> Option<String> {
        self.caller.doubtful().filter(|note| note.len() <= LONGEST)
    }

    /// The note on a text that may exist in other letter case.
    pub(crate) fn letters_of_any_case(&self) -> Option<String> {
        self.caller.cased().filter(|note| note.len() <= LONGEST)
    }
}

impl Predicate<'_> {
    /// The note, if this is one test: among several, another may be what no row passes.
    fn cased(&self) -> Option<String> {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => match parts.as_slice() {
                [part] => part.cased(),
                _ => None,
            },
            Predicate::Related { filter, .. } => filter.cased(),
            Predicate::Computed { value, .. } => value.total()?.filter.cased(),
            Predicate::Test { column, path: None, comparison }
                if column.can_select && tells_case(column) =>
            {
                let pattern = cased_pattern(comparison)?;
                let both = column.condition(&format!("\"ilike\": {pattern:?}"));
                Some(format!("{} was compared case-sensitively: {both} ignores case", column.name))
            }
            _ => None,
        }
    }

    fn doubtful(&self) -> Option<String> {
        match self {
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().find_map(Predicate::doubtful)
            }
            Predicate::Related { filter, .. } => filter.doubtful(),
            Predicate::Computed { value, .. } => {
                value.totals().into_iter().find_map(|total| total.filter.doubtful())
            }
            Predicate::Compared { left, operator: Operator::Eq, right } => {
                let (Expression::Column(left), Expression::Now(_)) = (&**left, &**right) else {
                    return None;
                };
                left.column.data_type.is_timestamp().then(|| {
                    let name = &left.column.name;
                    format!(
                        "{name} was compared with this very moment: {{\"gte\": {{\"$now\": \"-1 day\"}}}} matches what is no older than a day"
                    )
                })
            }
            Predicate::Test { column, path: Some(path), comparison } => {
                quoted(column, comparison).or_else(|| in_elements(column, path, comparison))
            }
            // The caller does not see a blind index.
            Predicate::Test { column, path: None, comparison } if column.can_select => {
                match comparison {
                    Comparison::Search(words) => in_tsquery(&words.text),
                    Comparison::Binary(operator, Operand { source: Source::Text(text), .. }) => {
                        compared(column, *operator, text.as_deref()?)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl Plan<'_> {
    /// The note on a text that holds what could have been meant as JSON or as SQL.
    pub(crate) fn doubt(&self) -> Option<String> {
        self.holds_json().or_else(|| self.holds_sql())
    }

    /// The note on a text column that was set to an SQL expression.
    fn holds_sql(&self) -> Option<String> {
        let Plan::Change(plan) = self else { return None };
        let Effect::Set(set) = &plan.effect else { return None };
        let names: Vec<&str> =
            plan.table.readable_columns().map(|at| &*plan.table.table.columns[at].name).collect();
        let (column, text) = set.iter().find_map(|(column, assign)| {
            let Assign::Value(operand) = assign else { return None };
            let Source::Text(Some(text)) = &operand.source else { return None };
            let given = column.data_type.is_text() && operand.place().is_some();
            (given && is_sql(text, &names)).then_some((column, text))
        })?;
        let name = &column.name;
        let note = format!(
            "{name} now holds the text {text:?} as it stands: SQL is not computed; {{\"$append\": …}} adds to a text, {{\"$column\": …}} copies one"
        );
        Some(note).filter(|note| note.len() <= LONGEST)
    }

    /// The note on a JSON column that was set to a string with the text of an object or array.
    fn holds_json(&self) -> Option<String> {
        let json = |column: &&Column| column.data_type.is_json();
        let column = match self {
            Plan::Insert(plan) => plan.columns.iter().enumerate().find_map(|(index, column)| {
                let column = Some(*column).filter(json)?;
                let mut values = plan.rows.iter().filter_map(|row| row.get(index));
                values.any(is_document_in_text).then_some(column)
            }),
            Plan::Change(plan) => match &plan.effect {
                Effect::Set(set) => set.iter().find_map(|(column, assign)| {
                    Some(*column).filter(json).filter(|_| is_document_in_text(assign))
                }),
                _ => None,
            },
            Plan::Select(_) => None,
        };
        let name = &column?.name;
        Some(format!(
            "{name} now holds a JSON string, in whose text there is JSON: give the object or array itself if that was meant"
        ))
    }
}

/// Whether a text names a column in a call of a function, or beside `||`.
fn is_sql(text: &str, columns: &[&str]) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let call = text.strip_suffix(')').and_then(|text| text.split_once('('));
    let called = call.is_some_and(|(name, _)| !name.is_empty() && name.chars().all(word));
    (called || text.contains("||")) && text.split(|c| !word(c)).any(|word| columns.contains(&word))
}

/// Whether a JSON value is a string that contains an object or array.
fn is_document_in_text(assign: &Assign<'_>) -> bool {
    let Assign::Value(Operand { source: Source::Text(Some(text)), .. }) = assign else {
        return false;
    };
    (text.starts_with("\"{") || text.starts_with("\"["))
        && serde_json::from_str::<String>(text)
            .is_ok_and(|inner| serde_json::from_str::<IgnoredAny>(&inner).is_ok())
}

/// The note on a JSON member that was compared with a string that looks like a number, true or false.
fn quoted(column: &Column, comparison: &Comparison) -> Option<String> {
    let (operand, opening) = match comparison {
        Comparison::Binary(operator, operand) if operator.orders() => (operand, "\""),
        Comparison::Binary(Operator::Eq | Operator::Ne, operand) => (operand, "\""),
        // JSON strings in the text of an array.
        Comparison::Listed(_, operand) => (operand, "\\\""),
        _ => return None,
    };
    let Source::Text(Some(text)) = &operand.source else { return None };
    if matches!(comparison, Comparison::Binary(Operator::Eq, _)) && is_plain(text) {
        return Some(format!(
            "{} was compared with the JSON value {text}: {text:?} in quotes matches a text",
            column.name
        ));
    }
    let mut texts = text.split(opening).skip(1).step_by(2);
    let text = texts.find(|text| is_plain(text))?;
    Some(format!(
        "{} was compared with the text {text:?}: numbers, true and false in JSON are given without quotes",
        column.name
    ))
}

/// The pattern of a text that may exist in other letter case.
fn cased_pattern(comparison: &Comparison) -> Option<String> {
    let (Comparison::Binary(_, operand) | Comparison::Listed(false, operand)) = comparison else {
        return None;
    };
    let Source::Text(Some(text)) = &operand.source else { return None };
    let cased = |text: &String| text.chars().any(has_case);
    match comparison {
        Comparison::Binary(Operator::Eq, _) => Some(escape_like(text)).filter(cased),
        Comparison::Binary(Operator::Like | Operator::EndsWith, _) => {
            Some(text.clone()).filter(cased)
        }
        Comparison::Listed(..) => {
            elements(text).into_iter().find(cased).map(|text| escape_like(&text))
        }
        _ => None,
    }
}

/// Whether it is the text of a number, true or false.
fn is_plain(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_number() || value.is_boolean())
}

/// The condition that the column is null.
pub(super) fn is_null(column: &Slot<'_>) -> String {
    match column.whole() {
        Some(column) => format!("{{{:?}: null}}", column.name),
        None => column.condition("\"is_null\": true"),
    }
}

fn compared(column: &Slot<'_>, operator: Operator, text: &str) -> Option<String> {
    let name = &column.name;
    let data_type = &column.data_type;
    match operator {
        Operator::Eq if data_type.is_text() && text.contains('%') => Some(format!(
            "{name} was compared with the literal text, % included: {{\"ilike\": {text:?}}} matches a pattern"
        )),
        Operator::Eq if data_type.is_text() && is_nothing(text) => Some(format!(
            "{name} was compared with the text {text:?}: {}, without quotes, finds rows that have no value",
            is_null(column)
        )),
        Operator::Eq if data_type.is_text() => {
            let condition = signed(text).or_else(|| advice::undotted(text, data_type))?;
            Some(format!(
                "{name} was compared with the literal text, operator included: {}",
                column.condition(condition.trim_start_matches('{').trim_end_matches('}'))
            ))
        }
        Operator::Like | Operator::Ilike if !text.contains(['%', '_']) => Some(format!(
            "a pattern without % matches the whole text: {{\"{operator}\": {:?}}} finds {name} that holds it",
            format!("%{text}%")
        )),
        Operator::Like | Operator::Ilike if data_type.is_padded() && !text.ends_with('%') => {
            Some(padded(name))
        }
        Operator::Matches | Operator::Imatches if data_type.is_padded() && text.ends_with('$') => {
            Some(padded(name))
        }
        Operator::Eq if data_type.is_json() && text.starts_with(['{', '"']) => Some(format!(
            "{name} was compared as a whole: {{\"contains\": {{…}}}} finds a part, {{\"path\": [\"key\"], \
                 \"eq\": …}} looks inside"
        )),
        Operator::Eq if matches!(data_type.base().kind, Kind::Composite(_)) => Some(format!(
            "{name} was compared as a whole: {{\"path\": [\"field\"], \"eq\": …}} looks at one field"
        )),
        Operator::Eq if data_type.family() == Family::Range => {
            let begins = match data_type.base().kind {
                Kind::Range(_) => {
                    ", {\"path\": [\"lower\"], \"gte\": …} looks where it begins, \"upper\" where it ends"
                }
                _ => "",
            };
            Some(format!(
                "{name} was compared as a whole, with exactly this range: {{\"overlaps\": …}} finds what shares a part with it{begins}"
            ))
        }
        Operator::Eq if data_type.family() == Family::Search => Some(format!(
            "{name} was compared as a whole, with all its words: {{\"search\": {text:?}}} finds words in it"
        )),
        Operator::Eq if data_type.is_timestamp() => {
            let next = day_after(text)?;
            Some(format!(
                "{name} has a time of day, and was compared with midnight: {{\"gte\": {text:?}, \"lt\": {next:?}}} \
                 matches the whole day"
            ))
        }
        _ => None,
    }
}

/// The note on a pattern that does not match the blanks at the end.
fn padded(name: &str) -> String {
    format!(
        "{name} is filled up with blanks to its length, which patterns must match: contains and ends_with ignore them"
    )
}

/// The condition for a text that begins with an operator.
fn signed(text: &str) -> Option<String> {
    const SIGNS: [(&str, Operator); 8] = [
        ("!=", Operator::Ne),
        ("<>", Operator::Ne),
        (">=", Operator::Gte),
        ("<=", Operator::Lte),
        ("==", Operator::Eq),
        (">", Operator::Gt),
        ("<", Operator::Lt),
        ("=", Operator::Eq),
    ];
    let (rest, operator) = SIGNS
        .into_iter()
        .find_map(|(sign, operator)| Some((text.strip_prefix(sign)?, operator)))?;
    Some(format!("{{\"{operator}\": {:?}}}", rest.trim()))
}

/// The note on search words in PostgreSQL's `tsquery` syntax.
fn in_tsquery(words: &Operand) -> Option<String> {
    let Source::Text(Some(text)) = &words.source else { return None };
    text.contains([':', '&', '|', '!', '*']).then(|| {
        "search takes whole words as people type them into a search box: \"fresh fish\", \"fish or meat\", \"fish -fresh\""
            .to_owned()
    })
}

/// Whether it is a word for null in another language.
fn is_nothing(text: &str) -> bool {
    ["null", "none", "nil", "undefined"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether comparisons of the column's texts distinguish upper and lower case.
fn tells_case(column: &Column) -> bool {
    let data_type = column.data_type.base();
    data_type.has_operator(Operator::Ilike) && !data_type.is_citext()
}

/// Whether a character is upper case or has an upper-case form.
fn has_case(letter: char) -> bool {
    letter.is_lowercase() || letter.is_uppercase()
}

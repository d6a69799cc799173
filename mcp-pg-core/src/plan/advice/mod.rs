//! Advice: hints for names, operators and syntax of other query languages.
//!
//! Uses only what the caller may see.

mod condition;
mod document;
mod dotted;
mod doubt;
mod empty_group;
mod function;
mod included;
mod measured;
mod midnight;
mod nested_list;
mod operator;
mod related;
mod remark;
mod returned;
mod valueless;
mod written;

use serde_json::{Map, Value};

pub(super) use self::document::not_a_document;
pub(super) use self::dotted::undotted;
pub(super) use self::function::{or_computed, unknown_arithmetic};
pub(super) use self::measured::{not_a_group, not_measured, of_many, unknown_measure};
pub(super) use self::operator::unknown_operator;
pub(super) use self::returned::in_json_shown;
pub(super) use self::written::{
    not_computed, not_referred, not_written, reference, unknown_computation,
};
use super::grammar::COMPUTE_FORM;
use super::{Arithmetic, Hop, Scope};
use crate::error::{Code, Error};
use crate::policy::TableView;
use crate::schema::{Column, DataType, Family, Operator, Part, RelationKind};
use crate::value;

/// The form of arithmetic, for callers who write it as text.
const ARITHMETIC: &str = "arithmetic is an object: {\"multiply\": [\"price\", \"quantity\"]}, in columns with \"as\"; also add, subtract, divide";

impl<'v> Scope<'v> {
    /// The hop to the only to-one relation whose table has a column with this name.
    fn beyond(&self, table: &'v TableView, name: &str) -> Option<Hop<'v>> {
        let hops = table.relations.iter().filter(|relation| relation.kind == RelationKind::ToOne);
        let mut hops = hops.filter_map(|relation| self.hop(table, relation).ok());
        hops.find(|hop| hop.table.readable(name).is_ok())
    }

    /// The error for a sort key, group or measure whose column belongs to a related row, or does not exist.
    pub(super) fn not_reached(&self, table: &'v TableView, name: &str, error: Error) -> Error {
        // A column that is closed here is no more open in another row.
        if table.is_write_only(name) || error.code() == Code::Forbidden {
            return error;
        }
        if is_arithmetic(name) {
            return error.hint(ARITHMETIC);
        }
        if name.contains('(') {
            return error.hint("give the column's own name: there are no functions here");
        }
        if let Some((column, keys)) = in_json(table, name) {
            return error.hint(format!("{{\"column\": {column:?}, \"path\": [{keys}]}}"));
        }
        if let Some(column) = own(table, name) {
            return error.did_you_mean(column);
        }
        match (self.beyond(table, name), self.relation(table, name)) {
            (Some(hop), _) => {
                error.hint(format!("\"{}.{name}\"", table.relation_name(hop.relation)))
            }
            (None, Ok(relation)) if relation.kind == RelationKind::ToOne => {
                error.hint(format!("a column of it: \"{name}.…\""))
            }
            (None, Ok(_)) => error.hint(format!(
                "select counts related rows for each row: \"include\": {{{name:?}: {{\"count\": true}}}}, \"order_by\": \
                 [{{\"count\": {name:?}}}]; aggregate counts them in their own table"
            )),
            (None, Err(_)) => error,
        }
    }
}

/// The value as text, if it is short enough to be repeated.
fn repeated(value: &Value) -> Option<String> {
    const LONGEST: usize = 200;
    Some(value.to_string()).filter(|text| text.len() <= LONGEST)
}

/// The column in `table.column`, if that is the name of the table.
pub(in crate::plan) fn own<'n>(table: &TableView, name: &'n str) -> Option<&'n str> {
    let (before, column) = name.rsplit_once('.')?;
    let name = table.name();
    let is_own = before == name.name || before == name.to_string();
    (is_own && table.readable(column).is_ok()).then_some(column)
}

/// Whether a name is an arithmetic expression: `price * quantity`, but not `count(*)`.
fn is_arithmetic(name: &str) -> bool {
    let name = name.replace("(*)", "");
    name.contains(['*', '+', '/']) || name.contains(" - ")
}

/// The column and the path of `details.color`, `details->>color` or `tags[0]`.
fn in_json<'n>(table: &TableView, name: &'n str) -> Option<(&'n str, String)> {
    let mut steps = name.split(['.', '-', '>', '[', ']', '\'']).filter(|step| !step.is_empty());
    let column = steps.next()?;
    let (_, known) = table.column(column)?;
    let step = |step: &str| match step.parse::<u32>() {
        Ok(place) => place.to_string(),
        Err(_) => format!("{step:?}"),
    };
    let steps: Vec<String> = steps.map(step).collect();
    let inside = known.data_type.is_json() || known.has_parts();
    (inside && !steps.is_empty()).then(|| (column, steps.join(", ")))
}

/// The error for a scalar that is not a value of the type: an operator in a text, a single element for a list.
pub(super) fn not_a_value(data_type: &DataType, value: &Value, error: Error) -> Error {
    let text = value.as_str().unwrap_or_default();
    match text.chars().next() {
        Some(first) if matches!(first, '<' | '>' | '=') || text.starts_with("!=") => {
            error.hint("the operator is a key: {\"gt\": 5}; so are gte, lt, lte and ne")
        }
        Some(_) if data_type.family() == Family::Array => {
            error.hint(format!("{{\"contains\": {value}}} finds arrays with this element"))
        }
        _ => match undotted(text, data_type) {
            Some(condition) => error.hint(format!("the operator is a key: {condition}")),
            None => error,
        },
    }
}

/// The error for a list of values that are not of the type: a text with commas, elements for lists.
pub(super) fn not_a_list(data_type: &DataType, value: &Value, error: Error) -> Error {
    match value {
        Value::Object(query) if query.contains_key("table") => error.hint(
            "rows are found by those related to them in place: {\"orders\": {\"some\": {…}}}",
        ),
        Value::String(text)
            if let Ok(items @ Value::Array(_)) = serde_json::from_str::<Value>(text) =>
        {
            error.hint(format!("a list, not its text: {items}"))
        }
        Value::String(text) if text.contains(',') && data_type.is_text() => {
            let items = Value::from_iter(text.split(',').map(str::trim));
            error.hint(format!("a list: {items}, or [{text:?}] for this text as it is"))
        }
        Value::String(text) if text.contains(',') => {
            let items = text.trim_matches(['(', ')']).split(',').map(str::trim);
            let item = |text: &str| match serde_json::from_str::<Value>(text) {
                Ok(number @ Value::Number(_)) => number,
                _ => text.trim_matches('\'').into(),
            };
            error.hint(format!("a list: {}", Value::from_iter(items.map(item))))
        }
        Value::Array(items) if data_type.family() == Family::Array => {
            match items.iter().any(|item| item.is_array() || item.is_object()) {
                true => error,
                false => error.hint(format!(
                    "{{\"overlaps\": {value}}} finds arrays with any of these elements, contains those with all"
                )),
            }
        }
        _ => error,
    }
}

/// The error for a scalar that is compared with a range: it may be meant as an element or a bound.
pub(super) fn not_a_range(
    column: &Column,
    operator: Operator,
    value: &Value,
    error: Error,
) -> Error {
    // Two ranges are meant.
    let of_two = matches!(operator, Operator::Overlaps | Operator::ContainedBy);
    let Some(lower) = column.part(Part::Lower).filter(|_| !of_two) else { return error };
    if value::encode(&lower.data_type, &lower.type_name, value).is_err() {
        return error;
    }
    let name = &column.name;
    error.hint(format!(
        "{{{name:?}: {{\"contains\": {value}}}}} finds what is in it; {{{name:?}: {{\"path\": [\"lower\"], \"{operator}\": {value}}}}} \
         asks where it begins, \"upper\" where it ends"
    ))
}

/// The error for an object that is no value of a range or composite: operators on one of its parts.
pub(super) fn not_a_part(column: &Column, value: &Map<String, Value>, error: Error) -> Error {
    let mut parts = value.iter().filter_map(|(part, test)| Some((part, test.as_object()?)));
    let tested = |test: &Map<String, Value>| {
        !test.is_empty() && test.keys().all(|key| Operator::parse(key).is_some())
    };
    let Some((part, test)) = parts.find(|(_, test)| tested(test)) else { return error };
    let mut condition = Map::from_iter([("path".to_owned(), Value::from(vec![part.as_str()]))]);
    condition.extend(test.clone());
    match repeated(&condition.into()).filter(|_| column.has_parts()) {
        Some(condition) => error.hint(format!("{{{:?}: {condition}}}", column.name)),
        None => error,
    }
}

/// The error for an operand that is the name of a column.
pub(super) fn not_a_column(value: &Value, error: Error) -> Error {
    match value.get("column").or_else(|| value.get("$column")) {
        Some(name) => error.hint(format!(
            "{{\"$column\": {name}}} is the value of another column of the row, to compare with"
        )),
        None if value.as_object().is_some_and(|object| Arithmetic::asked(object).is_some()) => {
            error.hint(format!("a computation goes on the left: {COMPUTE_FORM}"))
        }
        None => error,
    }
}

/// The sort key for the syntax of SQL and others: `name desc`, `name:desc`, `name.desc`.
pub(super) fn sort_key(text: &str) -> Option<String> {
    const WORDS: [&str; 7] = ["asc", "desc", "ascending", "descending", "nulls", "first", "last"];
    let text = text.replace(".desc", " desc").replace(".asc", " asc").replace(".nulls", " nulls ");
    let mut words = text.split([' ', ':']).filter(|word| !word.is_empty());
    let name = words.next()?;
    let words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
    let known = !words.is_empty() && words.iter().all(|word| WORDS.contains(&word.as_str()));
    let descending = words.iter().any(|word| word.starts_with("desc"));
    known.then(|| if descending { format!("-{name}") } else { name.to_owned() })
}

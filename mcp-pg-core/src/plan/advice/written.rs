//! Advice for values to write.

use serde_json::Value;

use crate::error::{Code, Error};
use crate::plan::grammar::{ASSIGNED, computation_meant};
use crate::plan::{Arithmetic, Written};
use crate::policy::TableView;
use crate::schema::{Column, Family, RelationKind};

/// The error for a name that is not a column to write.
pub(in crate::plan) fn not_written(table: &TableView, name: &str, error: Error) -> Error {
    let json = |column: &str| {
        table.column(column).is_some_and(|(_, column)| column.data_type.family() == Family::Json)
    };
    match name.split_once('.') {
        Some((column, key)) if json(column) => {
            let merge = |key: &str| format!("{{{column:?}: {{\"$merge\": {{{key:?}: …}}}}}}");
            error.hint(match key.split_once('.') {
                None => merge(key),
                Some(_) => {
                    let path: Vec<&str> = key.split('.').collect();
                    format!("{{{column:?}: {{\"$set\": {{\"path\": {path:?}, \"value\": …}}}}}}")
                }
            })
        }
        _ if table.relations_named(name).any(|relation| relation.kind != RelationKind::ToOne) => {
            error.hint(
                "rows of another table are inserted separately: a transaction does both, and {\"$ref\": \"0.column\"} is \
                 a value of the first",
            )
        }
        Some((relation, _)) if table.relations_named(relation).next().is_some() => error.hint(
            "rows of another table are changed separately, by an update of that table; a transaction does both",
        ),
        _ if matches!(name, "data" | "values" | "set" | "row" | "record" | "fields") => {
            error.hint("give the columns themselves: {\"name\": …}")
        }
        _ if table.relations_named(name).any(|relation| relation.kind == RelationKind::ToOne) => {
            let mut relations = table.relations_named(name);
            let keys = relations.find_map(|relation| {
                let names = relation.columns.iter().map(|(own, _)| &*table.table.columns[*own].name);
                let names: Vec<&str> = names.collect();
                (relation.kind == RelationKind::ToOne).then(|| names.join(", "))
            });
            error.hint(format!(
                "the row that this one belongs to is named by its key, {}: select it to find that, or insert it first",
                keys.unwrap_or_default()
            ))
        }
        _ if name.starts_with('$') => error.hint(
            "the keys are columns, and a change is a column's value: {\"views\": {\"$increment\": 1}}",
        ),
        _ => error,
    }
}

/// The error for a value that is not of the column's type and looks like an expression.
pub(in crate::plan) fn not_computed(
    column: &Column,
    value: &Value,
    written: Written,
    error: Error,
) -> Error {
    let number = column.data_type.is_amount();
    let moves = column.data_type.is_moment() && !is_present(value) && !has_offset(value);
    let computed = match value {
        Value::String(text) => text.contains(&column.name) || text.contains(['+', '*']),
        Value::Object(_) => true,
        _ => false,
    };
    match value.as_str() {
        _ if number && computed && written == Written::Old => error.hint(match arithmetic(value) {
            Some(arithmetic) => format!("{{\"$compute\": {arithmetic}}}"),
            None => format!(
                "a value, {{\"$increment\": 1}}: what is added to the old one, or {{\"$compute\": {{\"multiply\": [{:?}, 1.1]}}}}",
                column.name
            ),
        }),
        _ if moves && computed && written == Written::Old => {
            error.hint("a value, or {\"$increment\": \"1 month\"}: by how much it moves")
        }
        Some(text) if text.contains("$ref") || text.contains("{{") => error.hint(
            "{\"$ref\": \"name.column\"} is a value from an earlier operation of the transaction",
        ),
        _ => error,
    }
}

/// Whether it is a word for the current time.
fn is_present(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.to_ascii_lowercase().contains("now"))
}

/// Whether it ends in a time zone's offset, as `+02:00`.
fn has_offset(value: &Value) -> bool {
    let ending = value.as_str().and_then(|text| text.rsplit_once('+'));
    ending.is_some_and(|(_, digits)| {
        !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == ':')
    })
}

/// The arithmetic in a text, if it is short enough to be repeated.
fn arithmetic(value: &Value) -> Option<String> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    Arithmetic::asked(object)?;
    super::repeated(value)
}

/// The error for an unknown computation.
pub(in crate::plan) fn unknown_computation(key: &str) -> Error {
    let error = Error::new(Code::UnknownOperator, format!("there is no {key:?}")).allowed(ASSIGNED);
    match (key, computation_meant(key)) {
        ("$dec" | "$decrement" | "$sub" | "$subtract" | "$minus", Some(meant)) => {
            error.did_you_mean(meant).hint("{\"$increment\": -1}")
        }
        (_, Some(meant @ "$compute")) => {
            error.did_you_mean(meant).hint("{\"$compute\": {\"multiply\": [\"price\", 1.1]}}")
        }
        (_, Some(meant)) => error.did_you_mean(meant),
        ("$value", None) => error.hint("give the value itself"),
        _ => error.nearest(key, ASSIGNED).hint("{\"$literal\": …} writes an object as it is"),
    }
}

/// The error for a reference to what a select shows, but not as a column of its rows.
pub(in crate::plan) fn not_referred(name: &str, shown: &Value) -> Error {
    let message = format!(
        "{name} is not a column of that operation's table, and $ref takes only those of a select"
    );
    let error = Error::new(Code::UnknownColumn, message);
    let mut of = shown.clone();
    let renamed = of.as_object_mut().and_then(|object| {
        object.remove("as");
        object.get("column").filter(|_| object.len() == 1)?.as_str().map(str::to_owned)
    });
    match renamed.filter(|column| !column.contains('.')) {
        Some(column) => error.did_you_mean(column),
        None => {
            let measure = name.rsplit('.').next().unwrap_or(name);
            error.hint(format!(
                "an aggregate gives it to a later $ref: \"measures\": {{{measure:?}: {{\"max\": {of}}}}}"
            ))
        }
    }
}

/// The `$ref` for references in other syntaxes: `{{order.id}}`, `$0.id`, `order.rows[0].id`.
pub(in crate::plan) fn reference(given: &Value) -> Option<String> {
    let text = given.as_str()?.replace(['$', '{', '}', ']', ' '], "").replace('[', ".");
    let steps = text.split('.').filter(|step| {
        !matches!(*step, "" | "rows" | "data" | "result" | "results" | "operations")
    });
    Some(steps.collect::<Vec<_>>().join("."))
}

//! Violations of NOT NULL, of check constraints, and of partition bounds.

use tokio_postgres::error::DbError;

use super::parameter;
use super::place::Place;
use crate::error::{Code, Error, below, step};
use crate::name::TableName;
use crate::plan::Source;
use crate::schema::TableKind;

/// Where values for existing rows stand.
const UPDATE: &str = "/on_conflict/update";

pub(super) fn not_null(answer: &DbError, place: &Place<'_>) -> Error {
    let column = answer.column().filter(|_| !place.is_elsewhere(answer));
    match column.and_then(|name| place.table.table.column(name)) {
        Some((_, column)) => {
            let given = place.gives(&column.name);
            let error = match given {
                true => Error::new(
                    Code::NotNullViolation,
                    format!("{} does not accept null", column.name),
                ),
                false => Error::new(
                    Code::MissingValue,
                    format!("{} ({}) is required", column.name, column.type_name),
                ),
            };
            // A new row that gives a value is not to blame.
            let at = match given && place.updates(&column.name) == Some(false) {
                true => below(UPDATE, &column.name),
                false => format!("{}{}", place.written(), step(&column.name)),
            };
            error.at(at)
        }
        None => {
            let message = "a value that must not be null is missing";
            let error = Error::new(Code::NotNullViolation, message).at(place.written());
            match place.table.table.kind {
                TableKind::View => error.hint(
                    "the view leaves out a column that needs a value: insert into the table that it reads",
                ),
                _ => error,
            }
        }
    }
}

pub(super) fn check(answer: &DbError, place: &Place<'_>) -> Error {
    let table = &place.table.table;
    let name = answer.constraint().unwrap_or_default();
    let mut checks = table.checks.iter().filter(|_| !place.is_elsewhere(answer));
    let error = match checks.find(|check| check.name == name) {
        Some(check) => {
            let error =
                Error::new(Code::CheckViolation, format!("the row violates {}", check.definition))
                    .constraint(name);
            match check.columns.as_slice() {
                [column] => {
                    let name = &table.columns[*column].name;
                    let error = at_column(error, name, place);
                    return match check.choices(name) {
                        Some(choices) => listed(error, &choices, place),
                        None => error,
                    };
                }
                _ => error,
            }
        }
        None => {
            // For a constraint of a domain, PostgreSQL names the type instead of a table.
            let at = parameter(answer, place);
            let column = table.columns.iter().find(|column| {
                answer.datatype().is_some_and(|name| {
                    column.data_type.name == name
                        || column.data_type.name.ends_with(&format!(".{name}"))
                })
            });
            match column {
                Some(column) => {
                    let named = || format!("{}{}", place.written(), step(&column.name));
                    let rules = match column.data_type.rules().join(", ") {
                        rules if rules.is_empty() => rules,
                        rules => format!(": {rules}"),
                    };
                    let name_of_type = &column.data_type.name;
                    return Error::new(
                        Code::CheckViolation,
                        format!("the value violates the rules of {name_of_type}{rules}"),
                    )
                    .constraint(name)
                    .at(at.map_or_else(named, str::to_owned));
                }
                None if answer.routine() == Some("ExecFindPartition") => {
                    return no_partition(answer, place);
                }
                None => match elsewhere(answer, place) {
                    Some(error) => error,
                    None => {
                        Error::new(Code::CheckViolation, "the row violates a rule of the table")
                    }
                },
            }
        }
    };
    error.at(place.written())
}

/// The error about a row of another table, such as one that a trigger writes, if the caller sees that table's rows and
/// the constraint's columns.
fn elsewhere(answer: &DbError, place: &Place<'_>) -> Option<Error> {
    let (schema, table) = (answer.schema()?, answer.table()?);
    let other = place.view.named(&TableName::new(schema, table))?;
    // A view's own trigger may write it, too.
    let through = place.table.table.kind == TableKind::View && !place.is_own(answer);
    let other =
        Some(other).filter(|other| other.is_open() && (through || place.is_elsewhere(answer)))?;
    let name = answer.constraint()?;
    let check = other.table.checks.iter().find(|check| check.name == name)?;
    let seen = check.columns.iter().all(|column| other.table.columns[*column].can_select);
    let of = place.view.display(other);
    let message = format!("a row of {of}, which is written with it, violates {}", check.definition);
    seen.then(|| Error::new(Code::CheckViolation, message).constraint(name))
}

/// The error with the values that the check allows, and the one of them that was probably meant.
fn listed(error: Error, choices: &[String], place: &Place<'_>) -> Error {
    let at = error.get_at().map(str::to_owned);
    let given = place.parameters.iter().find_map(|operand| match &operand.source {
        Source::Text(Some(text)) if operand.place() == at.as_deref() => Some(text),
        _ => None,
    });
    let error = error.allowed(choices);
    match given {
        Some(given) => error.nearest(given, choices.iter().map(String::as_str)),
        None => error,
    }
}

/// The error about a column's value: the new row's, or that of an existing row, which `on_conflict.update` sets.
fn at_column(error: Error, column: &str, place: &Place<'_>) -> Error {
    let new = format!("{}{}", place.written(), step(column));
    let old = below(UPDATE, column);
    match (place.updates(column).is_some(), place.gives(column)) {
        (true, true) => error.at(new).hint(format!("or at {old}, if the row exists already")),
        (true, false) => error.at(old),
        (false, _) => error.at(new),
    }
}

/// "Partition key of the failing row contains (device, at) = (7, 2024-01-31)." The caller may see these columns.
fn no_partition(answer: &DbError, place: &Place<'_>) -> Error {
    let known = |name: &str| {
        let column = place.table.table.column(name.trim_matches('"'));
        column.filter(|(_, column)| column.can_select).map(|(_, column)| column.name.as_str())
    };
    let detail = answer.detail().filter(|_| place.is_own(answer)).unwrap_or_default();
    let key = detail.split_once('(').and_then(|(_, rest)| rest.split_once(") = ("));
    let key: Option<Vec<&str>> = key.and_then(|(names, _)| names.split(", ").map(known).collect());
    let message = "no partition of the table takes such a row";
    let at = place.written();
    let Some(key) = key else { return Error::new(Code::CheckViolation, message).at(at) };
    let message = format!("{message}, by its {}", key.join(", "));
    Error::new(Code::CheckViolation, message)
        .at(match key.as_slice() {
            [column] => format!("{at}{}", step(column)),
            _ => at,
        })
        .hint("change the value; or whoever maintains the database has to add a partition")
}

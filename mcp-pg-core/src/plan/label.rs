//! Names of values in replies: those in `as`, and what values are called without one.

use serde_json::{Map, Value};

use super::expression::operation;
use super::expression::reached::steps;
use crate::error::{Code, Error, Result, below};
use crate::request::check_members;

/// The form of a computed value with a name, for messages.
const LABELLED: &str = "{\"multiply\": [\"price\", \"quantity\"], \"as\": \"total\"}";

/// The name in `as`.
pub(in crate::plan) fn given_name(object: &Map<String, Value>) -> Option<String> {
    match object.get("as") {
        None | Some(Value::Null) => {
            let column = object.get("column")?.as_str()?;
            Some(named(column, object.get("path")))
        }
        Some(name) => name.as_str().map(str::to_owned),
    }
}

/// The name in `as` of an object that computes something.
pub(in crate::plan) fn label(object: &Map<String, Value>, at: &str) -> Result<String> {
    let wrong = |code, message: &str| Error::new(code, message).at(below(at, "as")).hint(LABELLED);
    let known = operation::members(object).into_iter().flatten().chain(["as"]);
    check_members(object, known.collect::<Vec<_>>().into_iter(), "what is computed has no member")
        .map_err(|error| error.inside(at))?;
    match object.get("as") {
        Some(Value::String(name)) if !name.contains('\0') => Ok(name.clone()),
        None | Some(Value::Null) => Err(wrong(Code::MissingValue, "what is computed needs a name")),
        Some(_) => Err(wrong(Code::InvalidValue, "as is a text")),
    }
}

/// What a group, or a member of JSON, is called unless it says: its column, and the path into that.
pub(in crate::plan) fn named(column: &str, path: Option<&Value>) -> String {
    let steps = path.into_iter().flat_map(steps);
    steps.fold(column.to_owned(), |name, step| format!("{name}.{step}"))
}

//! Groups by the elements of lists: `{"column": "labels", "each": true}`.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, step};
use crate::plan::Reached;
use crate::policy::TableView;
use crate::schema::DataType;

/// What says that the elements of a list make the groups.
pub(super) const EACH: &str = "each";

/// The type of the elements of lists: of arrays, or of those that JSON may be.
fn element(data_type: &DataType) -> Option<Arc<DataType>> {
    match data_type.is_json() {
        true => Some(Arc::clone(DataType::jsonb())),
        false => data_type.element(),
    }
}

/// The type of the elements by which a group is made, whose object asks for them or not.
///
/// # Errors
///
/// `invalid_value` at the member of the object, for what has no elements or none that can be told apart.
pub(super) fn asked(
    options: &Map<String, Value>,
    of: &Reached<'_>,
    table: &TableView,
) -> Result<Option<Arc<DataType>>> {
    let wrong = |message: String, at: &str| Error::new(Code::InvalidValue, message).at(step(at));
    match options.get(EACH) {
        None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
        Some(Value::Bool(true)) => {}
        Some(_) => return Err(wrong("each is true or false".to_owned(), EACH)),
    }
    let beside = ["bucket", "part", "time_zone"].into_iter();
    let mut beside = beside.filter(|member| options.get(*member).is_some_and(|is| !is.is_null()));
    if let Some(member) = beside.next() {
        return Err(wrong(format!("elements are groups as they are, without a {member}"), member));
    }
    let (name, type_name) = (&of.column.name, &of.column.type_name);
    let apart = |element: &Arc<DataType>| element.equality;
    match element(&of.data_type()) {
        Some(element) if apart(&element) => Ok(Some(element)),
        Some(_) => {
            let message = format!("{name} is {type_name}, whose elements cannot be compared");
            Err(wrong(message, EACH))
        }
        None => {
            let columns = of
                .owner(table)
                .names_of(|column| element(&column.data_type).as_ref().is_some_and(apart));
            let error = wrong(format!("{name} is {type_name}, which has no elements"), EACH);
            Err(error.allowed(columns))
        }
    }
}

/// What to say of a member that a group has not: other languages take lists apart by a function.
pub(super) fn not_asked(options: &Map<String, Value>, error: Error) -> Error {
    const WORDS: [&str; 5] = ["unnest", "unwind", "explode", "elements", "jsonb_array_elements"];
    let Some(word) = WORDS.into_iter().find(|word| options.contains_key(*word)) else {
        return error;
    };
    let named = [word, "column"].into_iter().find_map(|member| options.get(member)?.as_str());
    error.hint(form(named.unwrap_or("labels")))
}

/// How groups by the elements of a column are written.
pub(in crate::plan) fn form(column: &str) -> String {
    format!("{{\"column\": {column:?}, \"each\": true}} groups by the elements of lists")
}

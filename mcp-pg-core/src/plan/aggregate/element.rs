//! Groups of which a row is in several: by the elements of lists, `{"column": "labels", "each": true}`, and by columns of
//! the many rows that a relation leads to, `{"column": "categories.name", "each": true}`.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, step};
use crate::plan::Reached;
use crate::plan::grammar::{EACH, each_element};
use crate::policy::TableView;
use crate::schema::DataType;

/// What makes several groups of one row.
#[derive(Debug, Clone)]
pub enum Unnested {
    /// The elements of a list, which are of this type.
    Elements(Arc<DataType>),
    /// The rows at the end of a relation to many.
    Rows {
        /// How many relations to one lead there.
        before: usize,
    },
}

/// The type of the elements of lists: of arrays, or of those that JSON may be.
fn element(data_type: &DataType) -> Option<Arc<DataType>> {
    match data_type.is_json() {
        true => Some(Arc::clone(DataType::jsonb())),
        false => data_type.element(),
    }
}

/// Whether the object of a group asks for several groups of a row.
///
/// # Errors
///
/// `invalid_value` at the member of the object.
pub(super) fn is_asked(options: &Map<String, Value>) -> Result<bool> {
    match options.get(EACH) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(asked)) => Ok(*asked),
        Some(_) => Err(wrong("each is true or false".to_owned(), EACH)),
    }
}

fn wrong(message: String, at: &str) -> Error {
    Error::new(Code::InvalidValue, message).at(step(at))
}

/// What makes several groups of a row, where the group's object asks for that.
///
/// # Errors
///
/// `invalid_value` at the member of the object, for what has no elements or none that can be told apart.
pub(super) fn asked(
    options: &Map<String, Value>,
    of: &Reached<'_>,
    table: &TableView,
) -> Result<Option<Unnested>> {
    if !is_asked(options)? {
        return Ok(None);
    }
    let beside = ["bucket", "part", "time_zone"].into_iter();
    let mut beside = beside.filter(|member| options.get(*member).is_some_and(|is| !is.is_null()));
    if let Some(member) = beside.next() {
        return Err(wrong(
            format!("what each gives is a group as it is, without a {member}"),
            member,
        ));
    }
    if let Some(before) = of.hops.iter().position(|hop| !hop.is_to_one()) {
        return match of.hops.iter().take(before).find(|hop| !hop.is_keyed()) {
            None => Ok(Some(Unnested::Rows { before })),
            Some(hop) => {
                let relation = hop.subject.relation_name(hop.relation);
                Err(wrong(format!("no key says that {relation} leads to one row"), EACH))
            }
        };
    }
    let (name, type_name) = (&of.column.name, &of.column.type_name);
    let apart = |element: &Arc<DataType>| element.equality;
    match element(&of.data_type()) {
        Some(element) if apart(&element) => Ok(Some(Unnested::Elements(element))),
        Some(_) => {
            let message = format!("{name} is {type_name}, whose elements cannot be compared");
            Err(wrong(message, EACH))
        }
        None => {
            let owner = of.owner(table);
            let columns =
                owner.names_of(|column| element(&column.data_type).as_ref().is_some_and(apart));
            let columns = columns.filter(|name| owner.usable(name).is_ok());
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
    error.hint(each_element(named.unwrap_or("labels")))
}

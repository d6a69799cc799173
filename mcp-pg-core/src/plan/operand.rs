//! Values for PostgreSQL: text in the format of their type, or references to values that are not known yet.

use std::sync::Arc;

use serde_json::Value;

use super::grammar::{ASSIGNED, computation_meant};
use super::{Reference, Scope};
use crate::error::{Code, Error, Result, below};
use crate::schema::{Column, DataType, Family};
use crate::value;

/// A parameter of a statement: a value, and its place in the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operand {
    /// The value.
    pub source: Source,
    /// Its place in the arguments, as a JSON Pointer; `None` for values of the role or the server.
    pub at: Option<String>,
}

/// The value of an [`Operand`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The value in PostgreSQL's text form; `None` is null.
    Text(Option<String>),
    /// A value of an earlier operation's row, to be encoded as this type when it is known.
    Reference {
        /// The reference.
        reference: Box<Reference>,
        /// The type it must fit.
        data_type: Arc<DataType>,
        /// The type as people write it.
        type_name: String,
    },
    /// Several values in their text forms, as one `text[]`.
    List(Vec<Operand>),
}

impl Operand {
    /// A value of the server's own.
    pub fn own(text: Option<String>) -> Self {
        Self { source: Source::Text(text), at: None }
    }

    /// A value of the arguments.
    pub fn argument(text: Option<String>, at: impl Into<String>) -> Self {
        Self { source: Source::Text(text), at: Some(at.into()) }
    }

    /// Several values as one `text[]`, for a statement that casts each to its type.
    pub fn list(values: Vec<Operand>, at: Option<&str>) -> Self {
        Self { source: Source::List(values), at: at.map(str::to_owned) }
    }

    /// Puts `prefix` before its place in the arguments.
    pub(crate) fn move_inside(&mut self, prefix: &str) {
        if let Some(at) = &mut self.at {
            at.insert_str(0, prefix);
        }
    }

    /// The place of the value in the arguments, if it is the caller's.
    pub fn place(&self) -> Option<&str> {
        self.at.as_deref()
    }

    /// Whether the value is known to be null.
    pub fn is_null(&self) -> bool {
        matches!(self.source, Source::Text(None))
    }
}

/// Whether the only member of an object within a value is what this program computes with, or what others call so.
fn is_own(key: &str, given: &Value) -> bool {
    match key {
        "$now" => matches!(given, Value::Bool(true) | Value::String(_)),
        "$default" => *given == Value::Bool(true),
        // JSON Schema refers by URIs.
        "$ref" => given.as_str().is_some_and(|text| !text.contains(['#', '/'])),
        _ => ASSIGNED.contains(&key) || computation_meant(key).is_some(),
    }
}

/// Refuses JSON or a list that contains a reference or a computation: within a value it would be written literally.
fn computes_nothing_inside(value: &Value, at: &str) -> Result<()> {
    let Some((key, place)) = own_inside(value) else { return Ok(()) };
    let message = format!("{key} is the whole value of a column, not a part of one");
    Err(Error::new(Code::InvalidValue, message).at(format!("{at}{place}")).hint(
        "give the value itself, in a later call if this transaction makes it; {\"$literal\": …} writes JSON as it stands",
    ))
}

/// The first reference or computation in a value, and its place there. Texts are made only if there is one.
fn own_inside(value: &Value) -> Option<(&str, String)> {
    match value {
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            own_inside(item).map(|(key, place)| (key, format!("/{index}{place}")))
        }),
        Value::Object(members) => {
            let lone = members.iter().next().filter(|_| members.len() == 1);
            if let Some((key, _)) = lone.filter(|(key, given)| is_own(key, given)) {
                return Some((key, below("", key)));
            }
            members.iter().find_map(|(name, member)| {
                own_inside(member).map(|(key, place)| (key, below("", name) + &place))
            })
        }
        _ => None,
    }
}

impl Scope<'_> {
    /// A known value at this place of what is planned: the arguments, or a grant of the role.
    pub(super) fn text(&self, text: impl Into<Option<String>>, at: impl Into<String>) -> Operand {
        self.sourced(Source::Text(text.into()), at)
    }

    fn sourced(&self, source: Source, at: impl Into<String>) -> Operand {
        Operand { source, at: (!self.of_grant).then(|| at.into()) }
    }

    /// A value for a column, checked and encoded; or a reference, for `{"$ref": …}`.
    ///
    /// # Errors
    ///
    /// `invalid_value`, at `at` or inside it.
    pub fn operand(&self, column: &Column, value: &Value, at: &str) -> Result<Operand> {
        self.operand_of(&column.data_type, &column.type_name, value, at)
    }

    /// [`Scope::operand`] for any type.
    ///
    /// # Errors
    ///
    /// `invalid_value`, at `at` or inside it.
    pub(crate) fn operand_of(
        &self,
        data_type: &DataType,
        type_name: &str,
        value: &Value,
        at: &str,
    ) -> Result<Operand> {
        match value {
            Value::Object(object) if object.len() == 1 => match object.iter().next() {
                Some((key, reference)) if key == "$ref" => {
                    let at = format!("{at}/$ref");
                    let reference = self.reference(reference, &at)?;
                    let source = Source::Reference {
                        reference: Box::new(reference),
                        data_type: Arc::new(data_type.clone()),
                        type_name: type_name.to_owned(),
                    };
                    return Ok(self.sourced(source, at));
                }
                // JSON null is a value of its own.
                Some((key, Value::Null)) if key == "$literal" && data_type.is_json() => {
                    return Ok(self.text("null".to_owned(), format!("{at}/$literal")));
                }
                Some((key, literal)) if key == "$literal" => {
                    return self.encoded(data_type, type_name, literal, &format!("{at}/$literal"));
                }
                _ => {}
            },
            _ => {}
        }
        if data_type.is_json() || data_type.family() == Family::Array {
            computes_nothing_inside(value, at)?;
        }
        self.encoded(data_type, type_name, value, at)
    }

    /// [`Scope::operand_of`] for what is the value itself.
    pub(crate) fn encoded(
        &self,
        data_type: &DataType,
        type_name: &str,
        value: &Value,
        at: &str,
    ) -> Result<Operand> {
        let text =
            value::encode_operand(data_type, type_name, value).map_err(|error| error.inside(at))?;
        Ok(self.text(text, at))
    }
}

//! Columns and parts of columns.

use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::plan::Scope;
use crate::schema::{Column, Kind, Part};
use crate::value::Decoder;

/// A column, or a part of one, which is used like a column.
#[derive(Debug, Clone)]
pub enum Slot<'v> {
    /// The column.
    Whole(&'v Column),
    /// A part.
    Part {
        /// The column.
        whole: &'v Column,
        /// The part as a column, and its decoder.
        part: Arc<(Column, Decoder)>,
    },
}

impl Deref for Slot<'_> {
    type Target = Column;

    fn deref(&self) -> &Column {
        match self {
            Slot::Whole(column) => column,
            Slot::Part { part, .. } => &part.0,
        }
    }
}

impl<'v> From<&'v Column> for Slot<'v> {
    fn from(column: &'v Column) -> Self {
        Slot::Whole(column)
    }
}

impl<'v> Slot<'v> {
    /// The column, if it is a whole one.
    pub fn whole(&self) -> Option<&'v Column> {
        match self {
            Slot::Whole(column) => Some(column),
            Slot::Part { .. } => None,
        }
    }

    /// The decoder of a part.
    pub fn decoder(&self) -> Option<&Decoder> {
        match self {
            Slot::Whole(_) => None,
            Slot::Part { part, .. } => Some(&part.1),
        }
    }

    fn part(&self, step: &Value) -> Option<Self> {
        let whole = match self {
            Slot::Whole(whole) | Slot::Part { whole, .. } => whole,
        };
        let part = match (&self.data_type.base().kind, step) {
            (Kind::Range(_), Value::String(end)) if end == "lower" => Part::Lower,
            (Kind::Range(_), Value::String(end)) if end == "upper" => Part::Upper,
            (Kind::Array { .. }, Value::String(place)) => Part::Element(place.parse().ok()?),
            (_, Value::String(field)) => Part::Field(field.clone()),
            (_, Value::Number(place)) => Part::Element(i32::try_from(place.as_i64()?).ok()?),
            _ => return None,
        };
        let part = Column::part(self, part)?;
        let decoder = Decoder::for_type(&part.data_type);
        Some(Slot::Part { whole, part: Arc::new((part, decoder)) })
    }

    /// The text of a condition on it, for messages.
    pub(in crate::plan) fn condition(&self, test: &str) -> String {
        match self {
            Slot::Whole(column) => format!("{{{:?}: {{{test}}}}}", column.name),
            Slot::Part { whole, part } => {
                let steps: Vec<String> = part.0.parts.iter().map(step).collect();
                let path = steps.join(", ");
                format!("{{{:?}: {{\"path\": [{path}], {test}}}}}", whole.name)
            }
        }
    }
}

impl<'v> Scope<'v> {
    /// The part of a column at a path, and the rest of the path, which leads into JSON.
    ///
    /// # Errors
    ///
    /// `invalid_value` at `at` if there is no such part, or `limit_exceeded`.
    pub(in crate::plan) fn part(
        &self,
        column: &Slot<'v>,
        path: &Value,
        at: &str,
    ) -> Result<(Slot<'v>, Option<Value>)> {
        if column.data_type.is_json() {
            return Ok((column.clone(), Some(path.clone())));
        }
        self.short(path, at)?;
        let steps = path.as_array().filter(|steps| !steps.is_empty());
        let steps = steps.ok_or_else(|| no_part(column, path).at(at))?;
        let mut slot = column.clone();
        for (index, step) in steps.iter().enumerate() {
            if slot.data_type.is_json() {
                return Ok((slot, Some(Value::from(&steps[index..]))));
            }
            slot = slot.part(step).ok_or_else(|| no_part(&slot, step).at(at))?;
        }
        Ok((slot, None))
    }
}

/// A step as in requests.
fn step(part: &Part) -> String {
    match part {
        Part::Lower => "\"lower\"".to_owned(),
        Part::Upper => "\"upper\"".to_owned(),
        Part::Field(name) | Part::Member(name) | Part::Text(name) | Part::TextAt(name) => {
            format!("{name:?}")
        }
        Part::Element(place) => place.to_string(),
    }
}

/// The error for a step of a path that leads to no part of the column.
fn no_part(column: &Column, step: &Value) -> Error {
    let (name, type_name) = (&column.name, &column.type_name);
    let wrong =
        |parts: &str| Error::new(Code::InvalidValue, format!("{name} is {type_name}, {parts}"));
    match &column.data_type.base().kind {
        Kind::Range(_) => {
            wrong("whose parts are lower and upper").hint("[\"lower\"] or [\"upper\"]")
        }
        Kind::Array { .. } => wrong("whose elements are numbered from 0")
            .hint("[0] is the first, [-1] the last; \"contains\" finds one anywhere"),
        Kind::Composite(fields) => {
            let names = || fields.iter().map(|field| field.name.as_str());
            let error = wrong("whose parts are its fields").allowed(names());
            let error = match names().next() {
                Some(first) => error.hint(format!("[{first:?}]")),
                None => error,
            };
            error.nearest(step.as_str().unwrap_or_default(), names())
        }
        _ => wrong("and only json, jsonb, ranges, composites and arrays have paths"),
    }
}

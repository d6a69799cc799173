//! Parts of a column's values, as columns of their own.

use std::sync::Arc;

use super::{Column, DataType, Kind};

/// A step from a value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// The lower bound of a range.
    Lower,
    /// The upper bound of a range.
    Upper,
    /// The field of a composite value with this name.
    Field(String),
    /// The element of an array at this index, from 0; -1 is the last.
    Element(i32),
    /// The member of a JSON object with this key.
    Member(String),
    /// The text of the member with this key.
    Text(String),
    /// The text of the JSON value at this path, which is a `text[]` in text form.
    TextAt(String),
}

impl Column {
    /// A part of this column, as a read-only column; null where a value has no such part. `None` if values of the
    /// type have no such part.
    pub fn part(&self, part: Part) -> Option<Self> {
        let base = self.data_type.base();
        let (name, data_type) = match (&part, &base.kind) {
            (Part::Lower, Kind::Range(bound)) => ("lower".to_owned(), Arc::clone(bound)),
            (Part::Upper, Kind::Range(bound)) => ("upper".to_owned(), Arc::clone(bound)),
            (Part::Field(name), Kind::Composite(fields)) => {
                let field = fields.iter().find(|field| field.name == *name)?;
                (name.clone(), Arc::clone(&field.data_type))
            }
            (Part::Element(place), Kind::Array { .. }) => (place.to_string(), base.element()?),
            (Part::Member(key), _) if base.is_json() => (key.clone(), Arc::new(base.clone())),
            (Part::Text(key) | Part::TextAt(key), _) if base.is_json() => {
                (key.clone(), Arc::clone(DataType::text()))
            }
            _ => return None,
        };
        // SQL text refers to it by the name of the whole column.
        let whole = self.identifier().to_owned();
        let parts = self.parts.iter().cloned().chain([part]).collect();
        let name = format!("{}.{name}", self.name);
        Some(Self { parts, ..Self::computed(name, whole, data_type) })
    }

    /// Whether its values have parts.
    pub(crate) fn has_parts(&self) -> bool {
        self.data_type.has_parts()
    }
}

impl DataType {
    /// Whether values of the type have parts.
    pub(crate) fn has_parts(&self) -> bool {
        matches!(self.base().kind, Kind::Range(_) | Kind::Composite(_) | Kind::Array { .. })
    }
}

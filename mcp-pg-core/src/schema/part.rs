//! Parts of what a column holds, as columns of their own.

use std::sync::Arc;

use super::{Column, DataType, Kind};

/// A step into the values of a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// Where a range begins.
    Lower,
    /// Where it ends.
    Upper,
    /// The field of a composite that has this name.
    Field(String),
    /// The element of an array at this place, from 0; the last at -1.
    Element(i32),
    /// The member of a JSON object under this key.
    Member(String),
    /// The text of the member under this key.
    Text(String),
    /// The text of what JSON has at this path, which is written as a `text[]`.
    TextAt(String),
}

impl Column {
    /// A part of what it holds, which can only be read, and is null where a value has none; `None` if no value of the
    /// type has one.
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
            (Part::Member(key), _) if base.is_jsonb() => {
                (key.clone(), Arc::clone(DataType::jsonb()))
            }
            (Part::Text(key) | Part::TextAt(key), _) if base.is_jsonb() => {
                (key.clone(), Arc::clone(DataType::text()))
            }
            _ => return None,
        };
        // In SQL text it goes by the name of the whole.
        let whole = self.identifier().to_owned();
        let parts = self.parts.iter().cloned().chain([part]).collect();
        let name = format!("{}.{name}", self.name);
        Some(Self { parts, ..Self::computed(name, whole, data_type) })
    }

    /// Whether its values have parts.
    pub(crate) fn has_parts(&self) -> bool {
        let kind = &self.data_type.base().kind;
        matches!(kind, Kind::Range(_) | Kind::Composite(_) | Kind::Array { .. })
    }
}

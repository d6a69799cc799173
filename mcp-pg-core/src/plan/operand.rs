//! Values on their way to PostgreSQL: text in the form of their type, or a promise of one.

use std::sync::Arc;

use crate::schema::DataType;

/// A parameter of a statement: a value, and where the caller gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operand {
    /// What is sent.
    pub source: Source,
    /// Where in the arguments it stands, as a JSON Pointer; of what is the role's or the server's, none.
    pub at: String,
}

/// Where an [`Operand`]'s value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The value in PostgreSQL's text form; `None` is null.
    Text(Option<String>),
    /// A value of an earlier operation's row, to be encoded as this type when it is known.
    Reference {
        /// Which value.
        reference: Box<Reference>,
        /// The type that it must fit.
        data_type: Arc<DataType>,
        /// The type as people write it.
        type_name: String,
    },
    /// Several values in their text forms, as one `text[]`.
    List(Vec<Operand>),
}

/// A column of a row that an earlier operation of the same transaction returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Position of the operation.
    pub operation: usize,
    /// What the caller calls it: by its `as`, or its position.
    pub called: String,
    /// Position of its row; without one, all its rows must have the same value.
    pub row: Option<u32>,
    /// The column's name.
    pub column: String,
}

impl Operand {
    /// A known value.
    pub fn text(text: Option<String>, at: impl Into<String>) -> Self {
        Self { source: Source::Text(text), at: at.into() }
    }

    /// A value that an earlier operation will give.
    pub fn reference(
        reference: Reference,
        data_type: &DataType,
        type_name: &str,
        at: impl Into<String>,
    ) -> Self {
        Self {
            source: Source::Reference {
                reference: Box::new(reference),
                data_type: Arc::new(data_type.clone()),
                type_name: type_name.to_owned(),
            },
            at: at.into(),
        }
    }

    /// Several values as one `text[]`, for a statement that casts each to its type.
    pub fn list(values: Vec<Operand>, at: impl Into<String>) -> Self {
        Self { source: Source::List(values), at: at.into() }
    }

    /// Where the caller gave the value, if it was the caller.
    pub fn place(&self) -> Option<&str> {
        Some(self.at.as_str()).filter(|at| at.starts_with('/'))
    }

    /// Whether the value is known to be null.
    pub fn is_null(&self) -> bool {
        matches!(self.source, Source::Text(None))
    }
}

//! Errors in a canned query, with their place.

use std::fmt;

/// Why a file or a function is not a tool, told to its author.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The path of the file, or the signature of the function.
    pub place: String,
    /// Line and column in the file or in the function's comment, both from 1.
    pub position: Option<(usize, usize)>,
    /// What is wrong, and how to correct it.
    pub message: String,
    /// Whether the tool is still served in the version before the file was changed.
    pub served: bool,
}

impl Fault {
    /// A fault of the whole file or function.
    pub fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), position: None, message: message.into(), served: false }
    }

    /// A fault at a byte offset of the text.
    pub(super) fn at(mut self, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        self.position = Some((line, column));
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        if self.served {
            f.write_str(" (its last good form is served)")?;
        }
        Ok(())
    }
}

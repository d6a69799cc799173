//! Words of a full-text search, and their language.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::plan::{Operand, Scope};
use crate::schema::Language;

/// The words of a search.
#[derive(Debug, Clone)]
pub struct Words {
    /// The words, in web search syntax.
    pub text: Operand,
    /// The language of words and texts; the database's default if absent.
    pub language: Option<Arc<Language>>,
}

impl Scope<'_> {
    /// The words at `at`. Their language, if given, is at `at_language`.
    ///
    /// # Errors
    ///
    /// `invalid_value`, `limit_exceeded`.
    pub(in crate::plan) fn search(
        &self,
        words: (&Value, &str),
        language: (Option<&Value>, &str),
    ) -> Result<Words> {
        let (text, at) = words;
        let text = self.text(self.words(text, at)?, at);
        Ok(Words { text, language: self.language(language.0, language.1)? })
    }

    fn language(&self, given: Option<&Value>, at: &str) -> Result<Option<Arc<Language>>> {
        let Some(given) = given.filter(|given| !given.is_null()) else { return Ok(None) };
        let names = || self.view.languages().iter().map(|language| language.name.as_str());
        let name = given.as_str().unwrap_or_default();
        let known = self.view.languages().iter().find(|language| language.name == name);
        known.cloned().map(Some).ok_or_else(|| {
            let message = format!("texts cannot be searched in the language {given}");
            Error::new(Code::InvalidValue, message).at(at).nearest(name, names()).allowed(names())
        })
    }
}

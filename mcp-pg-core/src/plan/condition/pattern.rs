//! Patterns to match, and words to search for.

use serde_json::Value;

use super::filter::wrong;
use crate::error::{Error, Result};
use crate::plan::{Comparison, Operand, Scope};
use crate::schema::Operator;
use crate::value::escape_like;

impl Scope<'_> {
    /// A pattern of LIKE, or a regular expression.
    pub(super) fn pattern(&self, operator: Operator, value: &Value, at: &str) -> Result<Operand> {
        let text = self.words(value, at)?;
        let backslashes = text.len() - text.trim_end_matches('\\').len();
        // PostgreSQL refuses the pattern only if a text matches the rest of it, which would reveal that there is one.
        if matches!(operator, Operator::Like | Operator::Ilike) && backslashes % 2 == 1 {
            return Err(wrong("the backslash at the end of the pattern escapes nothing", at)
                .hint("write two for a backslash"));
        }
        Ok(self.text(text, at))
    }

    /// The test of texts that begin with, end with or contain a text.
    pub(super) fn part_of_text(
        &self,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Comparison> {
        let escaped = escape_like(&self.words(value, at)?);
        let pattern = match operator {
            Operator::StartsWith => format!("{escaped}%"),
            Operator::EndsWith => format!("%{escaped}"),
            _ => format!("%{escaped}%"),
        };
        Ok(Comparison::Binary(Operator::Like, self.text(pattern, at)))
    }

    /// A pattern, or words to search for.
    pub(in crate::plan) fn words(&self, value: &Value, at: &str) -> Result<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(wrong("expected a string", at)),
        };
        let most = self.view.limits.max_pattern;
        if text.len() > most {
            let message = format!("a pattern may have at most {most} bytes, not {}", text.len());
            return Err(Error::exceeded("max_pattern", message).at(at));
        }
        if text.contains('\0') {
            return Err(wrong("text cannot hold NUL", at));
        }
        Ok(text)
    }
}

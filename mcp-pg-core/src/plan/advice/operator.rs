//! Advice for operators that a type does not have.

use std::borrow::Cow;

use crate::error::{Code, Error};
use crate::plan::grammar::{COMPUTE_FORM, part_named_so};
use crate::schema::{Column, Family, Operator};

/// The error for an operator that the type of a column, or of a part of its JSON, does not have.
pub(in crate::plan) fn unknown_operator(column: &Column, name: &str, known: &[&str]) -> Error {
    let error = Error::new(
        Code::UnknownOperator,
        format!("{} is {}, which has no operator {name:?}", column.name, column.type_name),
    )
    .allowed(known.iter().copied());
    let plain = name.to_ascii_lowercase().replace(['$', '_', ' '], "");
    let unknown = Unknown { column, name, plain: &plain, known };
    if plain == "any" && column.data_type.family() == Family::Array {
        return error.did_you_mean("contains");
    }
    if let Some(hint) = unknown.hint() {
        return error.hint(hint);
    }
    match unknown.foreign() {
        Some(meant) => error.did_you_mean(meant.as_str()),
        // An operator of other types is not a misspelling.
        None if Operator::parse(name).is_some() => error,
        None => error.nearest(name, known.iter().copied()),
    }
}

/// An operator that the type of a column does not have.
struct Unknown<'a> {
    column: &'a Column,
    /// As in the request.
    name: &'a str,
    /// The name in lower case, without `$`, `_` and spaces.
    plain: &'a str,
    /// The operators that the type has.
    known: &'a [&'a str],
}

impl Unknown<'_> {
    fn has(&self, operator: Operator) -> bool {
        self.known.contains(&operator.as_str())
    }

    /// The operator of the type that has this name in another query language.
    fn foreign(&self) -> Option<Operator> {
        Operator::foreign(self.name).filter(|meant| self.has(*meant))
    }

    fn hint(&self) -> Option<Cow<'static, str>> {
        self.of_any_type()
            .or_else(|| self.of_text())
            .or_else(|| self.of_time())
            .or_else(|| self.of_family())
            .or_else(|| self.of_member())
            .or_else(|| self.negated())
    }

    /// Hints that are the same for all types.
    fn of_any_type(&self) -> Option<Cow<'static, str>> {
        let (column, name) = (&self.column.name, self.name);
        Some(match self.plain {
            "between" if self.column.data_type.is_timestamp() => {
                "{\"gte\": the first day, \"lt\": the day after the last}".into()
            }
            "between"
                if self.has(Operator::Overlaps) && self.column.data_type.bound().is_some() =>
            {
                "{\"overlaps\": {\"lower\": …, \"upper\": …}}".into()
            }
            "between" => "{\"gte\": least, \"lte\": most}".into(),
            "op" | "operator" | "value" => {
                format!("the operator is a key: {{{column:?}: {{\"eq\": value}}}}").into()
            }
            "or" | "and" => {
                format!("{name} wraps conditions: {{{name:?}: [{{{column:?}: {{…}}}}, {{…}}]}}")
                    .into()
            }
            "isnotnull" | "notnull" | "isnot" => "{\"is_null\": false}".into(),
            "exists" => "{\"is_null\": false}, or {\"is_null\": true}".into(),
            "not" => format!(
                "{{\"ne\": value}}, or around the condition: {{\"not\": {{{column:?}: {{…}}}}}}"
            )
            .into(),
            "compute" | "add" | "subtract" | "multiply" | "divide" => COMPUTE_FORM.into(),
            _ => return None,
        })
    }

    /// Hints for text, also for text that is part of JSON.
    fn of_text(&self) -> Option<Cow<'static, str>> {
        Some(match self.plain {
            "icontains" | "iexact" | "istartswith" | "iendswith" | "iequals"
                if self.has(Operator::Ilike) =>
            {
                "{\"ilike\": \"%text%\"}, where % stands for any letters".into()
            }
            "mode" | "caseinsensitive" | "insensitive" if self.has(Operator::Ilike) => {
                "{\"ilike\": \"%text%\"} ignores case".into()
            }
            "contains" | "matches" | "like" | "ilike" if self.has(Operator::Search) => {
                "{\"search\": \"fresh fish\"} finds words".into()
            }
            "path" if self.column.data_type.is_text() => format!(
                "{} is text, also where it holds JSON: {{\"like\": …}} and {{\"contains\": …}} look through it",
                self.column.name
            )
            .into(),
            _ => return None,
        })
    }

    /// Hints for dates and points in time.
    fn of_time(&self) -> Option<Cow<'static, str>> {
        if !self.column.data_type.has_day() {
            return None;
        }
        Some(match self.plain {
            "year" | "date" | "bucket" => {
                "{\"gte\": \"2024-01-01\", \"lt\": \"2025-01-01\"}".into()
            }
            word if let Some(part) = part_named_so(word) => {
                format!("{{\"part\": {part:?}, \"eq\": …}}").into()
            }
            "timezone" => {
                "{\"part\": \"hour\", \"time_zone\": \"Europe/Berlin\", \"eq\": 9}".into()
            }
            "like" | "ilike" | "startswith" | "contains" => {
                "{\"gte\": \"2024-01-01\", \"lt\": \"2024-02-01\"}".into()
            }
            _ => return None,
        })
    }

    /// Hints for arrays, label trees and network addresses, whose values are not text.
    fn of_family(&self) -> Option<Cow<'static, str>> {
        Some(match (self.column.data_type.family(), self.plain) {
            (Family::Array, "like" | "ilike" | "startswith" | "endswith" | "matches") => {
                "{\"contains\": [\"x\"]} finds arrays with this whole element".into()
            }
            (Family::Tree, "like" | "ilike" | "startswith" | "matches") => {
                "{\"contained_by\": \"a.b\"} finds a.b and what is below it".into()
            }
            (Family::Network, "like" | "ilike" | "startswith" | "contains") => {
                "{\"contained_by\": \"10.0.0.0/8\"} finds the addresses of a network".into()
            }
            _ => return None,
        })
    }

    /// Hints for JSON and hstore: a member has the operators of texts and numbers, or is found by `contains`.
    fn of_member(&self) -> Option<Cow<'static, str>> {
        let (column, name) = (&self.column.name, self.name);
        let is_operator = Operator::parse(name).is_some();
        let data_type = &self.column.data_type;
        if data_type.is_json_text() && name == Operator::HasKey.as_str() {
            let hint = format!(
                "{{{column:?}: {{\"path\": [\"key\"], \"is_null\": false}}}} finds what has a value there"
            );
            return Some(hint.into());
        }
        if data_type.is_json()
            && !self.has(Operator::Like)
            && (is_operator || self.foreign().is_some())
        {
            let hint =
                format!("{{{column:?}: {{\"path\": [\"key\"], {name:?}: …}}}} looks at a member");
            return Some(hint.into());
        }
        (data_type.family() == Family::Pairs && !is_operator).then(|| {
            let key = if name == "path" { "key" } else { name };
            format!("{{{column:?}: {{\"contains\": {{{key:?}: \"value\"}}}}}}").into()
        })
    }

    /// The hint for `notlike` and the like: `not` goes around the condition.
    fn negated(&self) -> Option<Cow<'static, str>> {
        let column = &self.column.name;
        let negated = negated(self.plain, self.known).filter(|_| self.foreign().is_none())?;
        Some(
            format!("around the condition: {{\"not\": {{{column:?}: {{{negated:?}: …}}}}}}").into(),
        )
    }
}

/// The operator that `notlike` or `nlike` is the opposite of.
fn negated<'k>(plain: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = plain.strip_prefix("not").or_else(|| plain.strip_prefix('n'))?;
    known.iter().copied().find(|known| known.replace('_', "") == plain)
}

//! Rules for a parameter's value in addition to its type: keywords of JSON Schema, with their meaning there.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::Regex;
use serde_json::{Map, Number, Value};

use crate::error::{Code, Error, Result};
use crate::name::nearest;
use crate::schema::{DataType, Kind};
use crate::value::{self, Decimal};

/// The rules of a parameter, or of each item if it is a list.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    values: Option<Vec<Value>>,
    minimum: Option<Value>,
    maximum: Option<Value>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    pattern: Option<Regex>,
    /// Whether the values are JSON, of which a text is never a number.
    json: bool,
    /// The most items of a list.
    pub(super) max_items: Option<usize>,
}

const KEYWORDS: [&str; 7] =
    ["enum", "minimum", "maximum", "minLength", "maxLength", "pattern", "maxItems"];

impl Rules {
    /// Parses the text of a JSON object.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut rules = Self::default();
        for (keyword, value) in object(text)? {
            let wrong = |what: &str| format!("{keyword} takes {what}, not {value}");
            let length = || {
                let length = value.as_u64().and_then(|length| usize::try_from(length).ok());
                length.map(Some).ok_or_else(|| wrong("a number"))
            };
            let bound = || match &value {
                Value::Number(number) if !is_exact(number) => Err(format!(
                    "{keyword}: write {number} as a string of digits, to keep it exact"
                )),
                Value::Number(_) => Ok(Some(value.clone())),
                Value::String(digits) if Decimal::of(digits).is_some() => Ok(Some(value.clone())),
                _ => Err(wrong("a number")),
            };
            match keyword.as_str() {
                "enum" => match &value {
                    Value::Array(values) if !values.is_empty() => {
                        rules.values = Some(values.clone());
                    }
                    _ => return Err(wrong("a list of values")),
                },
                "minimum" => rules.minimum = bound()?,
                "maximum" => rules.maximum = bound()?,
                "minLength" => rules.min_length = length()?,
                "maxLength" => rules.max_length = length()?,
                "maxItems" => rules.max_items = length()?,
                "pattern" => {
                    let pattern = value.as_str().ok_or_else(|| wrong("a regular expression"))?;
                    let pattern = Regex::new(pattern).map_err(|error| {
                        // The last line contains the message; those before show the place.
                        let error = error.to_string();
                        let reason = error.lines().last().unwrap_or_default();
                        format!("pattern: {}", reason.trim_start_matches("error: "))
                    })?;
                    rules.pattern = Some(pattern);
                }
                _ => {
                    return Err(match nearest(&keyword, KEYWORDS) {
                        Some(near) => format!("there is no rule {keyword}; did you mean {near}?"),
                        None => {
                            format!("there is no rule {keyword}; there are {}", KEYWORDS.join(", "))
                        }
                    });
                }
            }
        }
        rules.agree()?;
        Ok(rules)
    }

    /// Refuses rules that no value can meet.
    fn agree(&self) -> Result<(), String> {
        if let (Some(least), Some(most)) = (&self.minimum, &self.maximum)
            && compare(least, most).is_some_and(Ordering::is_gt)
        {
            let (least, most) = (shown(least), shown(most));
            return Err(format!("the minimum {least} is more than the maximum {most}"));
        }
        if let (Some(least), Some(most)) = (self.min_length, self.max_length)
            && least > most
        {
            return Err(format!("the minLength {least} is more than the maxLength {most}"));
        }
        Ok(())
    }

    /// Refuses rules that do not apply to values of this type.
    pub(super) fn check_type(&mut self, data_type: &DataType) -> Result<(), String> {
        let (item, list) = match &data_type.base().kind {
            Kind::Array { element, .. } => (&**element, true),
            _ => (data_type, false),
        };
        let accepted = Value::Object(value::accepted(item));
        // Numbers may be given as strings of digits.
        let kind = accepted.pointer("/anyOf/0/type").or(accepted.get("type"));
        let kind = kind.and_then(Value::as_str).unwrap_or_default();
        self.json = item.is_json();
        let number = self.json || matches!(kind, "number" | "integer");
        let text = self.json || kind == "string";
        for (keyword, given, fits, of) in [
            ("minimum", self.minimum.is_some(), number, "numbers"),
            ("maximum", self.maximum.is_some(), number, "numbers"),
            ("minLength", self.min_length.is_some(), text, "texts"),
            ("maxLength", self.max_length.is_some(), text, "texts"),
            ("pattern", self.pattern.is_some(), text, "texts"),
            ("maxItems", self.max_items.is_some(), list, "lists"),
        ] {
            if given && !fits {
                return Err(format!("{keyword} is for {of}, and this is {}", data_type.name));
            }
        }
        for allowed in self.values.iter().flatten() {
            let fits = value::encode(item, &item.name, allowed);
            fits.map_err(|error| format!("enum: {}", error.message()))?;
        }
        Ok(())
    }

    /// Whether there are rules about a single value.
    pub(super) fn restrict(&self) -> bool {
        let mut schema = Map::new();
        self.describe(&mut schema);
        !schema.is_empty()
    }

    /// Checks a value. The error's place is relative to it.
    pub(super) fn check(&self, value: &Value) -> Result<()> {
        let wrong = |message: String| Err(Error::new(Code::InvalidValue, message).at(""));
        // Of JSON, "1" is not 1.
        let shown = |value: &Value| match self.json {
            true => cut(&value.to_string()),
            false => shown(value),
        };
        match &self.values {
            Some(values) if !values.iter().any(|known| self.same(known, value)) => {
                let names = Vec::from_iter(values.iter().map(shown));
                let texts = values.iter().zip(&names).filter(|(known, _)| known.is_string());
                let message = format!("{} is not allowed", shown(value));
                return Err(Error::new(Code::InvalidValue, message)
                    .at("")
                    .nearest(&shown(value), texts.map(|(_, name)| name.as_str()))
                    .allowed(names));
            }
            None if value.is_null() && self.restrict() => {
                return wrong("null is not allowed".to_owned());
            }
            _ => {}
        }
        for (bound, beyond, how) in
            [(&self.minimum, Ordering::Less, "less"), (&self.maximum, Ordering::Greater, "more")]
        {
            let Some(bound) = bound else { continue };
            match self.compare(value, bound) {
                None => return wrong(format!("{} is not a number", shown(value))),
                Some(found) if found == beyond => {
                    let bound = bound.as_str().map_or_else(|| bound.to_string(), str::to_owned);
                    return wrong(format!("{} is {how} than {bound}", shown(value)));
                }
                Some(_) => {}
            }
        }
        // The text sent to PostgreSQL: numbers and booleans are accepted as texts, too.
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        let length = text.chars().count();
        if let Some(least) = self.min_length
            && length < least
        {
            return wrong(format!("{length} characters are too few: at least {least}"));
        }
        if let Some(most) = self.max_length
            && length > most
        {
            return wrong(format!("{length} characters are too many: at most {most}"));
        }
        if let Some(pattern) = &self.pattern
            && !pattern.is_match(&text)
        {
            return wrong(format!("{} does not match {pattern}", shown(value)));
        }
        Ok(())
    }

    /// Whether both are the same value for PostgreSQL: unless they are JSON, a number may also be given as a string of digits.
    fn same(&self, known: &Value, given: &Value) -> bool {
        let written = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            _ => None,
        };
        known == given
            || !self.json && written(known).is_some_and(|known| written(given) == Some(known))
            || !known.is_string() && self.compare(given, known) == Some(Ordering::Equal)
    }

    /// Compares a value with a number; `None` if it is none. A bound may be a string of digits also for JSON.
    fn compare(&self, value: &Value, bound: &Value) -> Option<Ordering> {
        if self.json && !value.is_number() { None } else { compare(value, bound) }
    }

    /// Adds the rules to the JSON Schema of the value, or of a list's items.
    pub(super) fn describe(&self, schema: &mut Map<String, Value>) {
        let mut put = |keyword: &str, value: Option<Value>| {
            if let Some(value) = value {
                schema.insert(keyword.to_owned(), value);
            }
        };
        put("enum", self.values.clone().map(Value::Array));
        // A bound that JSON numbers cannot hold is checked, but not shown.
        put("minimum", self.minimum.clone().filter(Value::is_number));
        put("maximum", self.maximum.clone().filter(Value::is_number));
        put("minLength", self.min_length.map(Value::from));
        put("maxLength", self.max_length.map(Value::from));
        put("pattern", self.pattern.as_ref().map(|pattern| pattern.as_str().into()));
    }
}

/// Whether the number is certainly the one that was written: a double keeps 15 digits.
fn is_exact(number: &Number) -> bool {
    const MOST: f64 = 1e15;
    number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|double| double.abs() < MOST)
}

/// Compares two numbers, each a JSON number or a string of digits; `None` if one is neither.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    let text = |value: &Value| match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.trim().to_owned()),
        _ => None,
    };
    let (a, b) = (text(a)?, text(b)?);
    Some(Decimal::of(&a)?.cmp(&Decimal::of(&b)?))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

/// Parses the JSON object after a parameter.
fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text.trim()).map_err(|error| {
        format!("{} is not JSON such as {{\"minimum\": 1, \"maximum\": 100}}: {error}", text.trim())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_checked() {
        for (rules, value, wrong) in [
            (json!({"minimum": 1, "maximum": 5}), json!(5), None),
            (json!({"minimum": 1, "maximum": 5}), json!("5.00"), None),
            (json!({"minimum": 1, "maximum": 5}), json!(5.01), Some("5.01 is more than 5")),
            (json!({"minimum": 1}), json!(-3), Some("-3 is less than 1")),
            (
                json!({"maximum": 9_007_199_254_740_992_u64}),
                json!("9007199254740993"),
                Some("is more than"),
            ),
            (
                json!({"maximum": "92233720368547758079.5"}),
                json!("92233720368547758079.6"),
                Some("92233720368547758079.6 is more than 92233720368547758079.5"),
            ),
            (json!({"minimum": "-92233720368547758079"}), json!("-92233720368547758079"), None),
            (json!({"minimum": 0.01, "maximum": 1_000_000}), json!(0.01), None),
            (json!({"enum": ["a", "b"]}), json!("b"), None),
            (json!({"enum": ["a", "b"]}), json!("c"), Some("c is not allowed")),
            (json!({"enum": [1, 2]}), json!("2"), None),
            (json!({"enum": [1, "3"]}), json!(3), None),
            (json!({"enum": [true, "3"]}), json!("3.0"), Some("3.0 is not allowed")),
            (json!({"pattern": "^[a-z]+$"}), json!("abc"), None),
            (json!({"pattern": "^[a-z]+$"}), json!("abC"), Some("does not match")),
            (json!({"minLength": 2, "maxLength": 3}), json!("äöü"), None),
            (json!({"maxLength": 2}), json!("äöü"), Some("3 characters are too many")),
            (json!({"maxLength": 5}), json!(123_456_789), Some("9 characters are too many")),
            (json!({"minLength": 2, "pattern": "^[0-9]{5}$"}), json!(12345), None),
            (json!({"pattern": "^[a-z]*$"}), json!(42), Some("does not match")),
            (json!({"pattern": "^[a-z]*$"}), json!(null), Some("null is not allowed")),
            (json!({"enum": ["a", null]}), json!(null), None),
            (json!({"minimum": 1}), json!("one"), Some("one is not a number")),
        ] {
            let checked = Rules::read(&rules.to_string()).unwrap().check(&value);
            match wrong {
                None => checked.unwrap(),
                Some(wrong) => {
                    let message = checked.unwrap_err().message().to_owned();
                    assert!(message.contains(wrong), "{rules} {value}: {message}");
                }
            }
        }
        let rules = r#"{"enum": [1, 2, true], "minimum": 1}"#;
        let mut json = Rules::read(rules).unwrap();
        json.json = true;
        for text in ["1", "true", "1.0"] {
            assert!(json.check(&json!(text)).is_err(), "{text}");
        }
        json.check(&json!(1.0)).unwrap();
        let message = json.check(&json!("1")).unwrap_err().message().to_owned();
        assert_eq!(message, "\"1\" is not allowed");
        assert!(Rules::read(r#"{"pattern": "("}"#).is_err());
        assert!(Rules::read(r#"{"minimum": "one"}"#).is_err());
        let inexact = Rules::read(r#"{"maximum": 92233720368547758079}"#).unwrap_err();
        assert!(inexact.starts_with("maximum: write 9.223"), "{inexact}");
    }
}

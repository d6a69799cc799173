//! json and jsonb values, exact as far as JSON numbers allow.

use std::borrow::Cow;

use serde_json::Value;

use super::numeric;
use crate::error::{Code, Error, Result, step};

/// The most levels of nesting that are encoded. [`decode`] never returns more.
const DEPTH_MOST: usize = 128;

/// The parsed value. Numbers that a JSON number would change become strings of their digits. Text that is nested too
/// deeply to be parsed becomes a string.
pub(super) fn decode(text: &str) -> Value {
    serde_json::from_str(&quote_inexact(text)).unwrap_or_else(|_| Value::from(text))
}

/// The text with quotes around each number that an integer or double cannot hold exactly.
fn quote_inexact(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut quoted = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at + 1),
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(bytes, at);
                let number = text.get(at..end).unwrap_or_default();
                if !is_exact(number) {
                    quoted.push_str(text.get(copied..at).unwrap_or_default());
                    quoted.push('"');
                    quoted.push_str(number);
                    quoted.push('"');
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    quoted.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(quoted)
}

fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
        .unwrap_or(rest.len());
    start + length
}

fn is_exact(number: &str) -> bool {
    let plain = !number.bytes().any(|byte| matches!(byte, b'e' | b'E'));
    (plain && number.len() <= 15)
        || number.parse::<i64>().is_ok()
        || number.parse::<u64>().is_ok()
        || numeric::exact_double(number).is_some()
}

/// The text of the value, as a parameter of type json or jsonb.
///
/// # Errors
///
/// `invalid_value` for a NUL character, `limit_exceeded` for too many levels of nesting.
pub(super) fn encode(value: &Value) -> Result<String> {
    check(value, DEPTH_MOST)?;
    serde_json::to_string(value).map_err(|error| {
        Error::new(Code::Internal, "the value cannot be written as JSON").caused_by(error)
    })
}

fn check(value: &Value, depth: usize) -> Result<()> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) => check_text(text),
        Value::Array(_) | Value::Object(_) if depth == 0 => {
            Err(Error::new(Code::LimitExceeded, "json is nested too deeply")
                .at("")
                .hint(format!("nest at most {DEPTH_MOST} arrays and objects")))
        }
        Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
            check(item, depth - 1).map_err(|error| error.inside(&step(index)))
        }),
        Value::Object(members) => members.iter().try_for_each(|(key, member)| {
            check_text(key)
                .and_then(|()| check(member, depth - 1))
                .map_err(|error| error.inside(&step(key)))
        }),
    }
}

/// Refuses NUL, the only character that PostgreSQL's text cannot contain.
///
/// # Errors
///
/// `invalid_value`.
pub(super) fn check_text(text: &str) -> Result<()> {
    if text.as_bytes().contains(&0) {
        return Err(Error::new(Code::InvalidValue, "PostgreSQL text cannot hold NUL (\\u0000)")
            .at("")
            .hint("leave the character out; bytes belong in a bytea column, as base64"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_that_would_change_become_strings() {
        for (text, expected) in [
            (
                r#"{"a": [1, -2.5, 1e3], "b": "x 1e999"}"#,
                json!({"a": [1, -2.5, 1e3], "b": "x 1e999"}),
            ),
            ("9007199254740993", json!(9_007_199_254_740_993_i64)),
            ("18446744073709551615", json!(u64::MAX)),
            ("18446744073709551617", json!("18446744073709551617")),
            ("10000000000000000000000", json!(1e22)),
            ("[0.1234567890123456789, 2]", json!(["0.1234567890123456789", 2])),
            ("1e400", json!("1e400")),
            (
                r#"["\"", 12345678901234567890123, "\\"]"#,
                json!(["\"", "12345678901234567890123", "\\"]),
            ),
            ("0.30000000000000004", json!(0.30000000000000004)),
            // This double is equally near to 790954793151103.3.
            ("790954793151103.2", json!(790954793151103.2)),
            (r#""unfinished"#, json!(r#""unfinished"#)),
            ("null", json!(null)),
        ] {
            assert_eq!(decode(text), expected, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_text() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(decode(&deep), json!(deep));
        let fair = format!("{}{}", "[".repeat(127), "]".repeat(127));
        assert!(decode(&fair).is_array());
        assert_eq!(encode(&decode(&fair)).unwrap(), fair);
    }

    #[test]
    fn what_jsonb_cannot_hold_is_refused() {
        let error = encode(&json!({"a": ["x", "\0"]})).unwrap_err();
        assert_eq!((error.code(), error.get_at()), (Code::InvalidValue, Some("/a/1")));
        let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(encode(&deep).unwrap_err().code(), Code::LimitExceeded);
    }
}

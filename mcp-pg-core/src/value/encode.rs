//! JSON to PostgreSQL values: the text of a parameter, or an error that says what is wrong with the value.

mod compound;
mod example;
mod moment;
mod pairs;
mod scalar;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use self::compound::RANGE;
pub use self::compound::text_array;
pub(super) use self::example::quoted;
pub(crate) use self::moment::is_posix_zone;
pub(crate) use self::pairs::in_quotes;
use self::scalar::Reason;
pub(crate) use self::scalar::{bytes, is_point};
use super::datetime::day_after;
use super::json;
use super::scalar::Scalar;
use crate::error::{Code, Error, Result};
use crate::schema::{DataType, Kind};

/// The text of `value` as a parameter of the type; `None` is SQL NULL.
///
/// `type_name` is the type's name in messages: `numeric(10,2)`. Accepts everything that [`Decoder`](super::Decoder)
/// produces, and also:
///
/// - a string of digits for any number; integers and booleans for text; `"true"`, `"f"`, `"yes"` … for boolean;
/// - a string with the PostgreSQL literal for an array, composite, range or multirange;
/// - a range without `bounds`, which means `[)`;
/// - an object of strings and nulls for hstore; `[x, y]` or `{"x": …, "y": …}` for a point.
///
/// JSON null is SQL NULL for every type, including json. PostgreSQL itself checks the constraints of domains, the
/// precision of numerics, the length of text, and the values of types whose text form is not parsed here.
///
/// # Errors
///
/// `invalid_value`, with a pointer relative to `value`; `limit_exceeded` if the value is nested too deeply.
///
/// ```
/// use mcp_pg_core::schema::DataType;
/// use mcp_pg_core::value::encode;
///
/// let bigint = DataType::bigint();
/// assert_eq!(encode(bigint, "bigint", &42.into()).unwrap().as_deref(), Some("42"));
/// let error = encode(bigint, "bigint", &"many".into()).unwrap_err();
/// assert_eq!(error.message(), "expected bigint, got the string \"many\"");
/// ```
pub fn encode(data_type: &DataType, type_name: &str, value: &Value) -> Result<Option<String>> {
    Target::new(data_type, type_name, false).encode(value)
}

/// Like [`encode`], for a value instead of which `$now` can be given: the hints of errors say so.
pub(crate) fn encode_operand(
    data_type: &DataType,
    type_name: &str,
    value: &Value,
) -> Result<Option<String>> {
    Target::new(data_type, type_name, true).encode(value)
}

/// Whether PostgreSQL may refuse a text that [`encode`] returns, because not every rule of the type is checked here.
pub fn is_left_to_postgresql(data_type: &DataType) -> bool {
    match &data_type.kind {
        Kind::Base => matches!(Scalar::of(data_type), Scalar::Inet | Scalar::Other),
        Kind::Enum(_) => false,
        _ => true,
    }
}

/// The most levels of types within types.
const DEPTH_MOST: usize = 64;

/// The type that a value is encoded for.
#[derive(Clone, Copy)]
struct Target<'a> {
    /// The type; never a domain.
    data_type: &'a DataType,
    /// The type's name in messages.
    name: &'a str,
    /// How many more levels the value may have.
    depth: usize,
    /// Whether `$now` can be given instead, if the type has it.
    or_now: bool,
}

impl<'a> Target<'a> {
    fn new(data_type: &'a DataType, name: &'a str, or_now: bool) -> Self {
        Self { data_type: data_type.base(), name, depth: DEPTH_MOST, or_now }
    }

    /// The target for a component of the value.
    fn part(self, data_type: &'a DataType) -> Result<Self> {
        let Some(depth) = self.depth.checked_sub(1) else {
            let message = format!("a value may be nested at most {DEPTH_MOST} levels deep");
            return Err(Error::new(Code::LimitExceeded, message).at(""));
        };
        // It cannot for a component.
        Ok(Self { data_type: data_type.base(), name: &data_type.name, depth, or_now: false })
    }

    fn encode(self, value: &Value) -> Result<Option<String>> {
        if value.is_null() {
            return Ok(None);
        }
        let text = match &self.data_type.kind {
            Kind::Array { element, delimiter } => self.array(element, *delimiter, value),
            Kind::Composite(fields) => self.composite(fields, value),
            Kind::Range(subtype) => self.range(subtype, value),
            Kind::Multirange(range) => self.multirange(range, value),
            Kind::Enum(labels) => self.label(labels, value),
            Kind::Base | Kind::Domain { .. } => self.scalar(Scalar::of(self.data_type), value),
        }?;
        json::check_text(&text)?;
        Ok(Some(text))
    }

    fn scalar(self, scalar: Scalar, value: &Value) -> Result<String> {
        match scalar {
            Scalar::Json | Scalar::Jsonb => json::encode(value),
            Scalar::Numeric if scalar::is_sure_to_scale(self.name, value) => Ok(value.to_string()),
            _ => scalar.encode(self.data_type, value).map_err(|reason| match reason {
                Reason::Unfit => self.refuse(value),
                Reason::Present(now) => self.not_present(value, now),
                Reason::Because { message, hint } => {
                    Error::new(Code::InvalidValue, message).at("").hint(hint)
                }
            }),
        }
    }

    fn label(self, labels: &[String], value: &Value) -> Result<String> {
        let given = value.as_str().unwrap_or_default();
        if value.is_string() && labels.iter().any(|label| label == given) {
            return Ok(given.to_owned());
        }
        Err(Error::new(Code::InvalidValue, self.mismatch(value))
            .at("")
            .hint("give one of the allowed labels, spelled exactly")
            .allowed(labels)
            .nearest(given, labels.iter().map(String::as_str)))
    }

    /// The error for a value that is not of the type.
    fn refuse(self, value: &Value) -> Error {
        let example = example::of(self.data_type);
        let absent = |text: &str| text.is_empty() || text.eq_ignore_ascii_case("null");
        let hint = match value {
            Value::String(text) if absent(text) => {
                format!("for example {example}; no value is null, without quotes")
            }
            // A point in time as a number, which many programs use.
            Value::String(text)
                if self.data_type.base().oid == DataType::bigint().oid
                    && text.get(..10).and_then(day_after).is_some() =>
            {
                "a time kept as a number is given as one: 2025-01-01 is 1735689600 in seconds since 1970, 1735689600000 in milliseconds".to_owned()
            }
            _ if self.takes_now() => {
                format!("for example {example}, or {{\"$now\": \"-7 days\"}}")
            }
            _ => format!("for example {example}"),
        };
        Error::new(Code::InvalidValue, self.mismatch(value)).at("").hint(hint)
    }

    /// Whether `$now` can stand for the value.
    fn takes_now(self) -> bool {
        self.or_now && self.data_type.has_day()
    }

    /// The error for a word whose meaning depends on the current time. `now` is the equivalent operand of `$now`.
    fn not_present(self, value: &Value, now: Option<String>) -> Error {
        let given = quoted(value.as_str().unwrap_or_default());
        let error =
            Error::new(Code::InvalidValue, format!("{given} is not a date or time of its own"));
        let example = example::of(self.data_type);
        error.at("").hint(match (now, self.takes_now()) {
            (Some(now), true) => format!("{{\"$now\": {now}}}, or the time itself: {example}"),
            (None, true) => {
                format!("give the time itself, such as {example}; {{\"$now\": true}} is the present, {{\"$now\": \"-7 days\"}} a week ago")
            }
            (_, false) if self.or_now => {
                format!("give the time itself, such as {example}; in data and updates, {{\"$now\": true}} is the present")
            }
            (_, false) => format!("give the time itself, such as {example}"),
        })
    }

    fn mismatch(self, value: &Value) -> String {
        format!("expected {}, got {}", self.name, example::shown(value))
    }
}

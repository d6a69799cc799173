//! The text form of scalar values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use super::moment;
use crate::name::hex;
use crate::schema::{DataType, Family, oid};
use crate::value::decimal::Decimal;
use crate::value::numeric::{SAFE, is_sure};
use crate::value::scalar::Scalar;

/// Why a value is refused.
#[derive(Debug, PartialEq)]
pub(super) enum Reason {
    /// It is not a value of the type.
    Unfit,
    /// It is a word for the present or for a time relative to it. Holds the equivalent operand of `$now`, if there is
    /// one.
    Present(Option<String>),
    /// For another reason, with a message of its own.
    Because { message: String, hint: String },
}

impl Scalar {
    /// The text form of a value. For json, see [`json::encode`](crate::value::json::encode).
    pub(super) fn encode(self, data_type: &DataType, value: &Value) -> Result<String, Reason> {
        match (self, value) {
            (Self::Int2, _) => integer(value, i16::MIN, i16::MAX),
            (Self::Int4, _) => integer(value, i32::MIN, i32::MAX),
            (Self::Int8, _) => integer(value, i64::MIN, i64::MAX),
            (Self::Oid, _) => integer(value, u32::MIN, u32::MAX),
            (Self::Numeric, Value::Number(number)) => decimal(number),
            (Self::Numeric, Value::String(text)) if is_decimal(text) => Ok(text.clone()),
            (Self::Float4, _) => float(value, |text| text.parse::<f32>().is_ok_and(f32::is_finite)),
            (Self::Float8, _) => float(value, |text| text.parse::<f64>().is_ok_and(f64::is_finite)),
            (Self::Bool, Value::Bool(truth)) => Ok(truth.to_string()),
            (Self::Bool, Value::String(text)) => truth(text).map(|truth| truth.to_string()),
            (Self::Char, _) => Self::Text.encode(data_type, value).and_then(one_byte),
            (Self::Text, Value::Number(number)) => in_digits(number),
            (Self::Text, Value::Bool(truth)) => Ok(truth.to_string()),
            (Self::Other, Value::Number(number)) if takes_digits(data_type) => in_digits(number),
            (Self::Other, Value::Number(number)) if takes_numbers(data_type) => decimal(number),
            (Self::Other, Value::Array(_) | Value::Object(_)) if data_type.oid == oid::POINT => {
                point(value)
            }
            (Self::Other, Value::Object(pairs)) if data_type.family() == Family::Pairs => {
                super::pairs::encode(pairs).ok_or(Reason::Unfit)
            }
            (Self::Text | Self::Inet | Self::Other, Value::String(text)) => Ok(text.clone()),
            (Self::Uuid, Value::String(text)) => {
                uuid::Uuid::try_parse(text).map(|uuid| uuid.to_string()).map_err(|_| Reason::Unfit)
            }
            (Self::Bytea, Value::String(text)) => {
                bytes(text).map(|bytes| format!("\\x{}", hex(&bytes))).ok_or(Reason::Unfit)
            }
            (
                Self::Date | Self::Time | Self::Timestamp | Self::TimestampTz,
                Value::String(text),
            ) => moment::check(self, text).map(|()| text.clone()),
            _ => Err(Reason::Unfit),
        }
    }
}

/// Whether a value, which a geometric area may contain, is a point and not another area.
pub(crate) fn is_point(value: &Value) -> bool {
    value.as_str().is_none_or(|text| text.matches(',').count() == 1)
}

/// A text for `"char"`, of which PostgreSQL would keep the first byte. Bytes beyond ASCII are read, and given, in octal.
fn one_byte(text: String) -> Result<String, Reason> {
    match text.as_bytes() {
        [] | [0..=0x7f] | [b'\\', b'0'..=b'3', b'0'..=b'7', b'0'..=b'7'] => Ok(text),
        bytes => Err(Reason::Because {
            message: format!("the type \"char\" holds one byte, not {}", bytes.len()),
            hint: "give one ASCII character".to_owned(),
        }),
    }
}

/// A point as `[x, y]` or `{"x": …, "y": …}`.
fn point(value: &Value) -> Result<String, Reason> {
    let (x, y) = match value {
        Value::Array(parts) => match parts.as_slice() {
            [x, y] => (x, y),
            _ => return Err(Reason::Unfit),
        },
        Value::Object(parts) if parts.len() == 2 => {
            parts.get("x").zip(parts.get("y")).ok_or(Reason::Unfit)?
        }
        _ => return Err(Reason::Unfit),
    };
    match (x, y) {
        (Value::Number(x), Value::Number(y)) => Ok(format!("({x},{y})")),
        _ => Err(Reason::Unfit),
    }
}

fn integer(value: &Value, least: impl Into<i128>, most: impl Into<i128>) -> Result<String, Reason> {
    let (least, most) = (least.into(), most.into());
    let integer = match value {
        Value::Number(number) => {
            let whole = whole(number);
            // A number out of range is reported as such, even if it may be inexact.
            match refuse_inexact(number) {
                Err(_) if whole.is_some_and(|integer| !(least..=most).contains(&integer)) => {
                    return Err(out_of_range(number, least, most));
                }
                exact => exact?,
            }
            whole
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    match integer.ok_or(Reason::Unfit)? {
        integer if (least..=most).contains(&integer) => Ok(integer.to_string()),
        integer => Err(out_of_range(integer, least, most)),
    }
}

fn out_of_range(number: impl std::fmt::Display, least: i128, most: i128) -> Reason {
    Reason::Because {
        message: format!("{number} is out of range"),
        hint: format!("give a number from {least} to {most}"),
    }
}

/// The number, if it is an integer.
fn whole(number: &Number) -> Option<i128> {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(integer), _, _) => Some(integer.into()),
        (_, Some(integer), _) => Some(integer.into()),
        (_, _, Some(double)) if double.fract() == 0.0 => Some(double as i128),
        _ => None,
    }
}

/// A number for a text: an integer, whose digits are certain. `1.1` may have been written as `1.10`.
fn in_digits(number: &Number) -> Result<String, Reason> {
    match number.is_i64() || number.is_u64() {
        true => Ok(number.to_string()),
        false => Err(Reason::Because {
            message: format!("{number} is a number, which may have been written with other digits"),
            hint: "send the text as a string".to_owned(),
        }),
    }
}

/// The double that a number is kept as, unless it is an integer, which is kept exactly.
fn double(number: &Number) -> Option<f64> {
    number.as_f64().filter(|_| !number.is_i64() && !number.is_u64())
}

/// Refuses a double that may differ from the number that was written.
fn refuse_inexact(number: &Number) -> Result<(), Reason> {
    if double(number).is_some_and(|double| double.abs() > SAFE as f64) {
        return Err(Reason::Because {
            message: format!("{number} is too large for a JSON number to hold exactly"),
            hint: "send it as a string of digits".to_owned(),
        });
    }
    Ok(())
}

/// The digits of a number; refuses a double that may differ, or have been rounded, as it has so many digits.
fn decimal(number: &Number) -> Result<String, Reason> {
    refuse_inexact(number)?;
    match double(number).is_some_and(|double| !is_sure(double)) {
        true => Err(Reason::Because {
            message: format!("{number} may have had more digits than a JSON number holds"),
            hint: "send it as a string of digits".to_owned(),
        }),
        false => Ok(number.to_string()),
    }
}

/// Whether a type like `numeric(10,2)` keeps only digits of a JSON number that are certainly right, even if the
/// number is inexact: `21.989000000000004`, the result of a computation in doubles, is 21.99.
pub(super) fn is_sure_to_scale(type_name: &str, value: &Value) -> bool {
    let scale = || -> Option<i32> {
        let (_, scale) = type_name.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
        scale.parse().ok()
    };
    // A double keeps 15 digits. One of them is reserved for rounding.
    let sure = |double: f64, scale: i32| double.abs() * 10_f64.powi(scale) < 1e14;
    matches!((value.as_f64(), scale()), (Some(double), Some(scale)) if sure(double, scale))
}

fn float(value: &Value, fits: impl Fn(&str) -> bool) -> Result<String, Reason> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) if is_decimal(text) => text.clone(),
        _ => return Err(Reason::Unfit),
    };
    if fits(&text) || is_special(&text) { Ok(text) } else { Err(Reason::Unfit) }
}

/// Whether the text is a decimal number with optional point and exponent, or a name such as `NaN`.
fn is_decimal(text: &str) -> bool {
    is_special(text) || Decimal::of(text).is_some()
}

fn is_special(text: &str) -> bool {
    ["NaN", "Infinity", "+Infinity", "-Infinity"].iter().any(|name| name.eq_ignore_ascii_case(text))
}

fn truth(text: &str) -> Result<bool, Reason> {
    let is = |known: &&str| known.eq_ignore_ascii_case(text);
    if ["true", "t", "yes", "y", "on", "1"].iter().any(is) {
        Ok(true)
    } else if ["false", "f", "no", "n", "off", "0"].iter().any(is) {
        Ok(false)
    } else {
        Err(Reason::Unfit)
    }
}

/// Whether a type without a parser here is text.
fn takes_digits(data_type: &DataType) -> bool {
    data_type.name == "citext" || data_type.name.ends_with(".citext")
}

/// Whether a type without a parser here may take a number.
fn takes_numbers(data_type: &DataType) -> bool {
    use oid::{CID, MONEY, REGPROC, REGROLE, XID, XID8};
    const REGPROCEDURE_TO_REGTYPE: std::ops::RangeInclusive<u32> = 2202..=2206;
    matches!(data_type.oid, REGPROC | XID | CID | MONEY | REGROLE | XID8)
        || REGPROCEDURE_TO_REGTYPE.contains(&data_type.oid)
}

/// The bytes that a string stands for: base64, or hexadecimal digits after `\x`, which cannot be base64.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix("\\x") else { return STANDARD.decode(text).ok() };
    let pairs = digits.as_bytes().chunks(2).map(|pair| {
        let digit = |place: usize| char::from(*pair.get(place)?).to_digit(16);
        u8::try_from(digit(0)? * 16 + digit(1)?).ok()
    });
    pairs.collect()
}

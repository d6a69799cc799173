//! Texts for error messages: an example of the type's values, and the given value.

use serde_json::{Value, json};

use crate::schema::{DataType, Family, Kind};
use crate::value::scalar::Scalar;

/// An example value of the type, as JSON text.
pub(super) fn of(data_type: &DataType) -> String {
    const FIELDS_SHOWN: usize = 3;
    let data_type = data_type.base();
    match &data_type.kind {
        Kind::Array { element, .. } => format!("[{}]", of(element)),
        Kind::Composite(fields) => {
            let shown: Vec<String> = fields
                .iter()
                .take(FIELDS_SHOWN)
                .map(|field| format!("{}: {}", json!(field.name), of(&field.data_type)))
                .collect();
            let more = if fields.len() > FIELDS_SHOWN { ", …" } else { "" };
            format!("{{{}{more}}}", shown.join(", "))
        }
        Kind::Range(bound) => {
            let upper = later(bound).map(|later| format!(r#", "upper": {later}"#));
            format!(r#"{{"lower": {}{}}}"#, of(bound), upper.unwrap_or_default())
        }
        Kind::Multirange(range) => format!("[{}]", of(range)),
        Kind::Enum(labels) => json!(labels.first()).to_string(),
        Kind::Base | Kind::Domain { .. } => scalar(data_type).to_owned(),
    }
}

fn scalar(data_type: &DataType) -> &'static str {
    match Scalar::of(data_type) {
        Scalar::Bool => "true",
        Scalar::Int2 | Scalar::Int4 | Scalar::Int8 | Scalar::Oid => "42",
        Scalar::Float4 | Scalar::Float8 => "1.5",
        Scalar::Numeric => "12.5",
        Scalar::Text => r#""text""#,
        Scalar::Char => r#""x""#,
        Scalar::Uuid => r#""123e4567-e89b-42d3-a456-426614174000""#,
        Scalar::Date => r#""2024-01-31""#,
        Scalar::Time => r#""13:45:00""#,
        Scalar::Timestamp => r#""2024-01-31T13:45:00""#,
        Scalar::TimestampTz => r#""2024-01-31T13:45:00Z""#,
        Scalar::Json | Scalar::Jsonb => r#"{"a": 1}"#,
        Scalar::Bytea => r#""aGVsbG8=" (base64)"#,
        Scalar::Inet => r#""192.168.0.1""#,
        Scalar::Other => match data_type.oid {
            600 => "[1, 2]",
            603 => r#""(1,1),(0,0)""#,
            650 => r#""192.168.0.0/16""#,
            774 | 829 => r#""08:00:2b:01:02:03""#,
            790 => r#""12.34""#,
            1186 => r#""1 day 02:00:00""#,
            1266 => r#""13:45:00+00""#,
            1560 | 1562 => r#""101""#,
            _ if data_type.family() == Family::Pairs => r#""a=>1, b=>2""#,
            _ => r#""…" (its PostgreSQL text form)"#,
        },
    }
}

/// A greater value than the example of the type, so that the range between them is not empty.
fn later(data_type: &DataType) -> Option<&'static str> {
    Some(match Scalar::of(data_type.base()) {
        Scalar::Int2 | Scalar::Int4 | Scalar::Int8 => "50",
        Scalar::Float4 | Scalar::Float8 => "2.5",
        Scalar::Numeric => "20.5",
        Scalar::Date => r#""2024-02-29""#,
        Scalar::Time => r#""15:00:00""#,
        Scalar::Timestamp => r#""2024-01-31T15:00:00""#,
        Scalar::TimestampTz => r#""2024-01-31T15:00:00Z""#,
        _ => return None,
    })
}

/// The value, shortened for a message.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the string {}", quoted(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// The text in quotes, shortened for a message.
pub(in crate::value) fn quoted(text: &str) -> String {
    const LETTERS_SHOWN: usize = 40;
    match text.char_indices().nth(LETTERS_SHOWN) {
        Some((end, _)) => format!("{}…", json!(text.get(..end))),
        None => json!(text).to_string(),
    }
}

//! Decodes PostgreSQL's text output: the literals of arrays, composites and ranges, and the values within.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::literal::Literal;
use super::{Form, Malformed};
use crate::value::scalar::Scalar;
use crate::value::{datetime, json, numeric};

/// PostgreSQL's MAXDIM, the most dimensions of an array.
const DIMENSIONS_MOST: u32 = 6;

impl Form {
    pub(super) fn text(&self, text: &str) -> Result<Value, Malformed> {
        let mut literal = Literal::new(text);
        let value = match self {
            Self::Scalar(scalar) => return Ok(scalar.text(text)),
            Self::Array { element, delimiter } => {
                if literal.starts_with("[") {
                    // Lower bounds other than 1: `[0:2]={…}`.
                    literal.item(b"=");
                    literal.expect(b'=')?;
                }
                if element.may_be_array() && literal.starts_with("{{") {
                    // If the JSON of an element may be an array, only the literal shows the dimensions.
                    return Ok(Value::from(text));
                }
                dimension(element, *delimiter, &mut literal, DIMENSIONS_MOST)
            }
            Self::Composite(fields) => composite(fields, &mut literal),
            Self::Range(bound) => range(bound, &mut literal),
            Self::Multirange(range) => multirange(range, &mut literal),
        }?;
        if literal.is_empty() { Ok(value) } else { Err(Malformed) }
    }
}

impl Scalar {
    /// Output in an unexpected form is passed on as text.
    fn text(self, text: &str) -> Value {
        match self {
            Self::Bool => match text {
                "t" | "true" => Some(Value::from(true)),
                "f" | "false" => Some(Value::from(false)),
                _ => None,
            },
            Self::Int2 | Self::Int4 | Self::Int8 | Self::Oid => {
                text.parse().ok().map(numeric::from_integer)
            }
            Self::Float4 | Self::Float8 => text.parse().ok().map(numeric::from_double),
            Self::Numeric => Some(numeric::from_text(text)),
            Self::Timestamp | Self::TimestampTz => Some(datetime::timestamp_from_text(text)),
            Self::Json | Self::Jsonb => Some(json::decode(text)),
            Self::Bytea => text.strip_prefix("\\x").and_then(from_hex).map(Value::from),
            // The cast to text adds the mask of a single host, which the type's output omits.
            Self::Inet => {
                let host = if text.contains(':') { "/128" } else { "/32" };
                Some(Value::from(text.strip_suffix(host).unwrap_or(text)))
            }
            Self::Text | Self::Char | Self::Uuid | Self::Date | Self::Time | Self::Other => None,
        }
        .unwrap_or_else(|| Value::from(text))
    }
}

/// Hexadecimal digits to base64.
fn from_hex(digits: &str) -> Option<String> {
    let value =
        |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|&[high, low]| Some(value(high)? << 4 | value(low)?)).collect();
    rest.is_empty().then_some(STANDARD.encode(bytes?))
}

fn dimension(
    element: &Form,
    delimiter: u8,
    literal: &mut Literal<'_>,
    depth: u32,
) -> Result<Value, Malformed> {
    let inner = depth.checked_sub(1).ok_or(Malformed)?;
    let mut items = Vec::new();
    literal.expect(b'{')?;
    if literal.eat(b'}') {
        return Ok(Value::Array(items));
    }
    loop {
        items.push(if literal.starts_with("{") {
            dimension(element, delimiter, literal, inner)?
        } else {
            let item = literal.item(&[delimiter, b'}']);
            match &*item.text {
                "NULL" if !item.quoted => Value::Null,
                text => element.text(text)?,
            }
        });
        if literal.expect_any(&[delimiter, b'}'])? == b'}' {
            return Ok(Value::Array(items));
        }
    }
}

fn composite(fields: &[(String, Form)], literal: &mut Literal<'_>) -> Result<Value, Malformed> {
    let mut object = Map::with_capacity(fields.len());
    literal.expect(b'(')?;
    for (position, (name, form)) in fields.iter().enumerate() {
        if position > 0 {
            literal.expect(b',')?;
        }
        object.insert(name.clone(), value(form, literal, b",)")?);
    }
    literal.expect(b')')?;
    Ok(Value::Object(object))
}

fn range(bound: &Form, literal: &mut Literal<'_>) -> Result<Value, Malformed> {
    let (lower, upper, bounds) = if literal.eat_word("empty") {
        (Value::Null, Value::Null, "empty")
    } else {
        let start = literal.expect_any(b"[(")?;
        let lower = value(bound, literal, b",")?;
        literal.expect(b',')?;
        let upper = value(bound, literal, b"])")?;
        let bounds = match (start, literal.expect_any(b"])")?) {
            (b'[', b']') => "[]",
            (b'[', _) => "[)",
            (_, b']') => "(]",
            _ => "()",
        };
        (lower, upper, bounds)
    };
    let mut object = Map::with_capacity(3);
    object.insert("lower".to_owned(), lower);
    object.insert("upper".to_owned(), upper);
    object.insert("bounds".to_owned(), Value::from(bounds));
    Ok(Value::Object(object))
}

fn multirange(form: &Form, literal: &mut Literal<'_>) -> Result<Value, Malformed> {
    let Form::Range(bound) = form else { return Err(Malformed) };
    let mut ranges = Vec::new();
    literal.expect(b'{')?;
    if literal.eat(b'}') {
        return Ok(Value::Array(ranges));
    }
    loop {
        ranges.push(range(bound, literal)?);
        if literal.expect_any(b",}")? == b'}' {
            return Ok(Value::Array(ranges));
        }
    }
}

/// A field or bound; null if it is empty.
fn value(form: &Form, literal: &mut Literal<'_>, ends: &[u8]) -> Result<Value, Malformed> {
    let item = literal.item(ends);
    if item.text.is_empty() && !item.quoted { Ok(Value::Null) } else { form.text(&item.text) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::value::sample;

    #[test]
    fn literals() {
        let integer = sample::base(23, "integer");
        let text = sample::base(25, "text");
        let timestamp = sample::base(1114, "timestamp");
        let pair = sample::composite(&[("id", &integer), ("Na me", &text)]);
        let span = sample::range(&integer);
        let times = sample::range(&timestamp);
        let boxes = sample::array_between(&sample::base(603, "box"), ';');
        for (data_type, text, expected) in [
            (sample::array(&integer), "{}", json!([])),
            (sample::array(&integer), "{1,NULL,3}", json!([1, null, 3])),
            (sample::array(&integer), "{{1,2},{3,4}}", json!([[1, 2], [3, 4]])),
            (sample::array(&integer), "[0:1][-3:-3]={{1},{2}}", json!([[1], [2]])),
            (
                sample::array(&text),
                r#"{"","NULL",NULL,"a b","\"\\","{x}",é}"#,
                json!(["", "NULL", null, "a b", "\"\\", "{x}", "é"]),
            ),
            (boxes, "{(1,1),(0,0);(2,2),(0,0)}", json!(["(1,1),(0,0)", "(2,2),(0,0)"])),
            (
                sample::array(&sample::domain(&sample::array(&integer))),
                r#"{"{1,2}","{3}"}"#,
                json!([[1, 2], [3]]),
            ),
            (sample::array(&sample::base(3802, "jsonb")), r#"{"[1]",2}"#, json!([[1], 2])),
            (sample::array(&sample::base(3802, "jsonb")), "{{1,2}}", json!("{{1,2}}")),
            (pair.clone(), "(1,x)", json!({"id": 1, "Na me": "x"})),
            (pair.clone(), "(,)", json!({"id": null, "Na me": null})),
            (pair.clone(), r#"(2,"")"#, json!({"id": 2, "Na me": ""})),
            (pair.clone(), r#"(2,"a""b\\c,)")"#, json!({"id": 2, "Na me": "a\"b\\c,)"})),
            (
                sample::array(&pair),
                r#"{"(1,\"a b\")","(,NULL)"}"#,
                json!([{"id": 1, "Na me": "a b"}, {"id": null, "Na me": "NULL"}]),
            ),
            (sample::composite(&[]), "()", json!({})),
            (span.clone(), "[1,5)", json!({"lower": 1, "upper": 5, "bounds": "[)"})),
            (span.clone(), "(,5]", json!({"lower": null, "upper": 5, "bounds": "(]"})),
            (span.clone(), "empty", json!({"lower": null, "upper": null, "bounds": "empty"})),
            (
                times.clone(),
                r#"("2024-01-01 00:00:00",infinity]"#,
                json!({"lower": "2024-01-01T00:00:00", "upper": "infinity", "bounds": "(]"}),
            ),
            (sample::multirange(&span), "{}", json!([])),
            (
                sample::multirange(&span),
                "{[1,3),[5,)}",
                json!([
                    {"lower": 1, "upper": 3, "bounds": "[)"},
                    {"lower": 5, "upper": null, "bounds": "[)"}
                ]),
            ),
        ] {
            assert_eq!(Form::of(&data_type).text(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn leaves() {
        for (oid, text, expected) in [
            (16, "f", json!(false)),
            (20, "9223372036854775807", json!("9223372036854775807")),
            (700, "0.1", json!(0.1)),
            (701, "-Infinity", json!("-Infinity")),
            (701, "1e+300", json!(1e300)),
            (1700, "12.50", json!(12.5)),
            (17, "\\x00ff", json!("AP8=")),
            (17, "\\x0", json!("\\x0")),
            (869, "10.0.0.1/32", json!("10.0.0.1")),
            (869, "10.0.0.0/8", json!("10.0.0.0/8")),
            (869, "::1/128", json!("::1")),
            (650, "10.0.0.1/32", json!("10.0.0.1/32")),
            (1184, "2024-01-31 13:45:00.5+00", json!("2024-01-31T13:45:00.5Z")),
            (1186, "1 day 02:00:00", json!("1 day 02:00:00")),
            (790, "$1,000.00", json!("$1,000.00")),
        ] {
            let form = Form::of(&sample::base(oid, "t"));
            assert_eq!(form.text(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn broken_literals_are_malformed() {
        let integer = sample::base(23, "integer");
        for (data_type, text) in [
            (sample::array(&integer), ""),
            (sample::array(&integer), "{1,2"),
            (sample::array(&integer), "{1}2"),
            (sample::array(&integer), "[0:1]"),
            (sample::array(&integer), "{{{{{{{1}}}}}}}"),
            (sample::composite(&[("a", &integer)]), "(1,2)"),
            (sample::composite(&[("a", &integer), ("b", &integer)]), "(1)"),
            (sample::range(&integer), "1,2"),
            (sample::range(&integer), "[1,2"),
            (sample::multirange(&sample::range(&integer)), "{[1,2),"),
        ] {
            assert_eq!(Form::of(&data_type).text(text), Err(Malformed), "{text}");
        }
        let deep = "{".repeat(1_000_000);
        assert_eq!(Form::of(&sample::array(&integer)).text(&deep), Err(Malformed));
    }
}

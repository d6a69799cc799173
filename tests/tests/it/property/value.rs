//! Values as PostgreSQL compares them, over their JSON forms.

use std::cmp::Ordering;

use serde_json::Value;

/// What kind of values a column has, as far as conditions can tell.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Boolean,
    Number,
    Text,
    /// Dates and times, whose texts in UTC sort as they do.
    Moment,
    /// The labels, least first.
    Enum(Vec<String>),
    Uuid,
    Array(Box<Kind>),
    Json,
    Other,
}

impl Kind {
    /// The kind of a type of the catalogue.
    pub(crate) fn of(name: &str, labels: Vec<String>) -> Kind {
        if let Some(element) = name.strip_prefix('_') {
            return Kind::Array(Box::new(Kind::of(element, labels)));
        }
        match name {
            "bool" => Kind::Boolean,
            "int2" | "int4" | "int8" | "numeric" | "float4" | "float8" => Kind::Number,
            "text" | "varchar" | "bpchar" => Kind::Text,
            "date" | "timestamp" | "timestamptz" => Kind::Moment,
            "uuid" => Kind::Uuid,
            "jsonb" => Kind::Json,
            _ if !labels.is_empty() => Kind::Enum(labels),
            _ => Kind::Other,
        }
    }

    pub(crate) fn has_equality(&self) -> bool {
        *self != Kind::Other
    }

    pub(crate) fn has_order(&self) -> bool {
        !matches!(self, Kind::Json | Kind::Other)
    }

    /// How two values compare that are not null.
    pub(crate) fn compare(&self, a: &Value, b: &Value) -> Ordering {
        match self {
            Kind::Boolean => a.as_bool().cmp(&b.as_bool()),
            Kind::Number => Number::of(a).cmp(&Number::of(b)),
            Kind::Text | Kind::Moment | Kind::Uuid => a.as_str().cmp(&b.as_str()),
            Kind::Enum(labels) => {
                let place = |value: &Value| labels.iter().position(|label| value == label);
                place(a).cmp(&place(b))
            }
            Kind::Array(element) => {
                let (a, b) = (items(a), items(b));
                let each = a.iter().zip(b).map(|(a, b)| nulls_largest(element, a, b));
                each.fold(Ordering::Equal, Ordering::then).then(a.len().cmp(&b.len()))
            }
            Kind::Json | Kind::Other => {
                if same_json(a, b) {
                    Ordering::Equal
                } else {
                    Ordering::Less
                }
            }
        }
    }

    pub(crate) fn equal(&self, a: &Value, b: &Value) -> bool {
        self.compare(a, b).is_eq()
    }
}

fn nulls_largest(kind: &Kind, a: &Value, b: &Value) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (false, false) => kind.compare(a, b),
        (a, b) => a.cmp(&b),
    }
}

/// The elements of an array.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A number of the fixtures, exact: in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Number {
    MinusInfinity,
    Finite(i128),
    Infinity,
    Nan,
}

const MILLION: i128 = 1_000_000;

impl Number {
    pub(crate) fn of(value: &Value) -> Number {
        let text = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            other => panic!("{other} is no number"),
        };
        match text.as_str() {
            "NaN" => Number::Nan,
            "Infinity" => Number::Infinity,
            "-Infinity" => Number::MinusInfinity,
            text => match text.parse::<i128>() {
                Ok(whole) => Number::Finite(whole * MILLION),
                Err(_) => {
                    let number: f64 = text.parse().expect(text);
                    Number::Finite((number * MILLION as f64).round() as i128)
                }
            },
        }
    }

    pub(crate) fn add(self, other: Number) -> Number {
        match (self, other) {
            (Number::Finite(a), Number::Finite(b)) => Number::Finite(a + b),
            (Number::Finite(_), other) | (other, Number::Finite(_)) => other,
            (a, b) if a == b => a,
            _ => Number::Nan,
        }
    }

    pub(crate) fn minus(self, other: Number) -> Number {
        self.add(match other {
            Number::Finite(millionths) => Number::Finite(-millionths),
            Number::Infinity => Number::MinusInfinity,
            Number::MinusInfinity => Number::Infinity,
            Number::Nan => Number::Nan,
        })
    }

    /// As JSON, divided by a count.
    pub(crate) fn over(self, count: usize) -> Value {
        match self {
            Number::Finite(millionths) if count == 1 && millionths % MILLION == 0 => {
                let whole = millionths / MILLION;
                i64::try_from(whole).map_or_else(|_| whole.to_string().into(), Value::from)
            }
            Number::Finite(millionths) => {
                (millionths as f64 / (count as f64 * MILLION as f64)).into()
            }
            Number::Infinity => "Infinity".into(),
            Number::MinusInfinity => "-Infinity".into(),
            Number::Nan => "NaN".into(),
        }
    }
}

/// Whether two JSON values are the same to `jsonb`.
pub(crate) fn same_json(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => Number::of(a) == Number::of(b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_json(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same_json(a, b)))
        }
        (a, b) => a == b,
    }
}

/// `@>` of `jsonb`.
pub(crate) fn json_contains(whole: &Value, part: &Value) -> bool {
    fn within(whole: &Value, part: &Value) -> bool {
        match (whole, part) {
            (Value::Object(whole), Value::Object(part)) => part
                .iter()
                .all(|(key, part)| whole.get(key).is_some_and(|whole| within(whole, part))),
            (Value::Array(whole), Value::Array(part)) => {
                part.iter().all(|part| whole.iter().any(|whole| within(whole, part)))
            }
            (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => {
                false
            }
            (whole, part) => same_json(whole, part),
        }
    }
    match (whole, part) {
        // The exception that PostgreSQL documents: an array contains its primitive elements.
        (Value::Array(whole), part) if !part.is_array() && !part.is_object() => {
            whole.iter().any(|item| same_json(item, part))
        }
        (whole, part) => within(whole, part),
    }
}

/// What a path of keys and indexes leads to.
pub(crate) fn json_at<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Object(members) => members.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// LIKE, with `\` before a character that stands for itself.
pub(crate) fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| like(&text[skip..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        ['\\', literal, rest @ ..] => text.first() == Some(literal) && like(&text[1..], rest),
        [literal, rest @ ..] => text.first() == Some(literal) && like(&text[1..], rest),
    }
}

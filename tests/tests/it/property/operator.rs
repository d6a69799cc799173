//! Operators: which there are, and what they say of a value.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::choices::Choices;
use super::value::{Kind, Number, items, json_contains, like, same_json};

pub(super) fn operators(kind: &Kind) -> Vec<&'static str> {
    let mut all = vec!["is_null"];
    if kind.has_equality() {
        all.extend(["eq", "ne", "in", "not_in", "is_distinct_from"]);
    }
    if kind.has_order() {
        all.extend(["gt", "gte", "lt", "lte"]);
    }
    all.extend(match kind {
        Kind::Text => {
            &["like", "ilike", "starts_with", "ends_with", "contains", "matches", "imatches"][..]
        }
        Kind::Array(_) => &["contains", "contained_by", "overlaps"],
        Kind::Json => &["contains", "contained_by", "has_key"],
        _ => &[],
    });
    all
}

/// A value of a column made into what an operator takes.
pub(super) fn patterned(
    kind: &Kind,
    operator: &str,
    value: Value,
    choices: &mut Choices<'_>,
) -> Value {
    match (kind, operator) {
        (Kind::Text, "gt" | "gte" | "lt" | "lte") => value,
        (Kind::Text, _) => {
            let text: Vec<char> = value.as_str().unwrap_or_default().chars().collect();
            let start = choices.below(text.len() + 1);
            let part = &text[start..start + choices.below(text.len() - start + 1)];
            let part: String = match operator {
                "matches" | "imatches" => {
                    part.iter().filter(|c| c.is_ascii_alphanumeric()).collect()
                }
                _ => part.iter().collect(),
            };
            let part = if choices.chance(30) { part.to_ascii_uppercase() } else { part };
            match operator {
                // A backslash at the end escapes nothing, which PostgreSQL refuses.
                "like" | "ilike" => {
                    let part = part.replace('\\', "_");
                    choices
                        .pick(&[format!("%{part}%"), format!("{part}%"), format!("_{part}%")])
                        .clone()
                        .into()
                }
                "matches" | "imatches" => choices
                    .pick(&[part.clone(), format!("^{part}"), format!("{part}$")])
                    .clone()
                    .into(),
                _ => part.into(),
            }
        }
        (Kind::Array(_), "contains" | "contained_by" | "overlaps") => {
            items(&value).iter().filter(|_| choices.chance(70)).cloned().collect()
        }
        (Kind::Json, "has_key") => (*choices.pick(&["a", "b", "c"])).into(),
        _ => value,
    }
}

/// Whether a value passes a test.
pub(super) fn test(kind: &Kind, value: &Value, operator: &str, operand: &Value) -> Option<bool> {
    match operator {
        "is_null" => return Some(operand == &json!(value.is_null())),
        "eq" if operand.is_null() => return Some(value.is_null()),
        "ne" if operand.is_null() => return Some(!value.is_null()),
        "is_distinct_from" => {
            return Some(match (value.is_null(), operand.is_null()) {
                (false, false) => !kind.equal(value, operand),
                (value, operand) => value != operand,
            });
        }
        "in" | "not_in" => {
            let null = items(operand).iter().any(Value::is_null);
            let listed = items(operand)
                .iter()
                .any(|item| !item.is_null() && !value.is_null() && kind.equal(value, item));
            let all_null = items(operand).iter().all(Value::is_null);
            return match (operator, value.is_null()) {
                ("in", true) if null => Some(true),
                (_, true) if all_null && null => Some(operator == "in"),
                // Nothing is in an empty list, not even what is unknown.
                (_, true) if all_null => Some(operator == "not_in"),
                (_, true) if null => Some(false),
                (_, true) => None,
                ("in", false) => Some(listed),
                _ => Some(!listed),
            };
        }
        _ if value.is_null() => return None,
        _ => {}
    }
    let text = || value.as_str().unwrap_or_default();
    let pattern = || operand.as_str().unwrap_or_default();
    Some(match (kind, operator) {
        (_, "eq") => kind.equal(value, operand),
        (_, "ne") => !kind.equal(value, operand),
        (_, "gt") => kind.compare(value, operand).is_gt(),
        (_, "gte") => kind.compare(value, operand).is_ge(),
        (_, "lt") => kind.compare(value, operand).is_lt(),
        (_, "lte") => kind.compare(value, operand).is_le(),
        (Kind::Text, _) => text_test(text(), operator, pattern()),
        (Kind::Array(element), _) => {
            let has = |array: &Value, wanted: &Value| {
                items(array)
                    .iter()
                    .any(|item| !item.is_null() && !wanted.is_null() && element.equal(item, wanted))
            };
            match operator {
                "contains" => items(operand).iter().all(|wanted| has(value, wanted)),
                "contained_by" => items(value).iter().all(|wanted| has(operand, wanted)),
                _ => items(value).iter().any(|wanted| has(operand, wanted)),
            }
        }
        (_, "contains") => json_contains(value, operand),
        (_, "contained_by") => json_contains(operand, value),
        (_, _) => match value {
            Value::Object(members) => members.contains_key(pattern()),
            Value::Array(items) => items.contains(operand),
            value => value == operand,
        },
    })
}

fn text_test(text: &str, operator: &str, pattern: &str) -> bool {
    let (text, pattern) = match operator {
        "ilike" | "imatches" => (text.to_ascii_lowercase(), pattern.to_ascii_lowercase()),
        _ => (text.to_owned(), pattern.to_owned()),
    };
    match operator {
        "starts_with" => text.starts_with(&pattern),
        "ends_with" => text.ends_with(&pattern),
        "contains" => text.contains(&pattern),
        "like" | "ilike" => {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            like(&chars(&text), &chars(&pattern))
        }
        _ => match (pattern.strip_prefix('^'), pattern.strip_suffix('$')) {
            (Some(start), _) => text.starts_with(start),
            (_, Some(end)) => text.ends_with(end),
            _ => text.contains(&pattern),
        },
    }
}

/// Whether a part of a JSON value, if it is there, passes a test. JSON's null is none where null is asked for.
pub(super) fn at_path(part: Option<&Value>, operator: &str, operand: &Value) -> Option<bool> {
    let absent = part.is_none_or(Value::is_null);
    match operator {
        "is_null" => return Some(operand == &json!(absent)),
        "eq" if operand.is_null() => return Some(absent),
        "ne" if operand.is_null() => return Some(!absent),
        "in" if absent && items(operand).contains(&Value::Null) => return Some(true),
        _ => {}
    }
    let part = part?;
    match operator {
        "eq" => Some(same_json(part, operand)),
        "ne" => Some(!same_json(part, operand)),
        "in" => Some(items(operand).iter().any(|item| !item.is_null() && same_json(part, item))),
        "gte" => Some(order_json(part, operand).is_some_and(Ordering::is_ge)),
        "lt" => Some(order_json(part, operand).is_some_and(Ordering::is_lt)),
        _ => match part {
            Value::Null => None,
            Value::String(text) => Some(text_test(text, "like", "%o%")),
            other => Some(text_test(&other.to_string(), "like", "%o%")),
        },
    }
}

/// Which of two values comes first, if they are of one kind that has an order people know.
fn order_json(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => Number::of(one).partial_cmp(&Number::of(other)),
        (Value::String(one), Value::String(other)) => Some(one.cmp(other)),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        _ => None,
    }
}

//! Conditions written as SQL. The error shows the equivalent JSON; the SQL is never executed.

use serde_json::{Map, Value, json};

/// Longer texts are not taken for such a mistake.
const LONGEST: usize = 500;

/// SQL operators and their equivalents, longer ones first.
const COMPARED: [(&str, &str); 11] = [
    (" not like ", ""),
    (" ilike ", "ilike"),
    (" like ", "like"),
    ("<=", "lte"),
    (">=", "gte"),
    ("<>", "ne"),
    ("!=", "ne"),
    ("==", "eq"),
    ("=", "eq"),
    ("<", "lt"),
    (">", "gt"),
];

/// The equivalent JSON of a condition such as `status = 'open' AND age >= 18`, if it is as simple as that.
pub(super) fn as_json(text: &str) -> Option<Map<String, Value>> {
    if text.len() > LONGEST || !text.is_ascii() {
        return None;
    }
    let text = text.trim().trim_end_matches(';');
    let text = strip_word(text, "where ").unwrap_or(text);
    let mut conditions = Map::new();
    for part in parts(text) {
        let (column, condition) = comparison(part)?;
        match conditions.get_mut(&column) {
            // Two bounds of the same column.
            Some(Value::Object(known)) => match condition {
                Value::Object(more) => known.extend(more),
                _ => return None,
            },
            Some(_) => return None,
            None => {
                conditions.insert(column, condition);
            }
        }
    }
    (!conditions.is_empty()).then_some(conditions)
}

/// The operands of `AND`.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.to_ascii_lowercase().find(" and ") {
        parts.push(&rest[..at]);
        rest = &rest[at + " and ".len()..];
    }
    parts.push(rest);
    parts
}

fn comparison(part: &str) -> Option<(String, Value)> {
    let part = part.trim();
    let lower = part.to_ascii_lowercase();
    for (words, absent) in [(" is not null", false), (" is null", true)] {
        if lower.ends_with(words) {
            let column = name(&part[..part.len() - words.len()])?;
            return Some((column, json!({ "is_null": absent })));
        }
    }
    let found =
        COMPARED.iter().filter_map(|(sign, meant)| Some((lower.find(sign)?, *sign, *meant)));
    // Of operators at the same place, `min_by_key` returns the first, which is the longest.
    let (at, sign, meant) = found.min_by_key(|(at, ..)| *at)?;
    let (column, value) = (name(&part[..at])?, value(part[at + sign.len()..].trim())?);
    match meant {
        "" => None,
        "eq" => Some((column, value)),
        operator => Some((column, json!({ operator: value }))),
    }
}

/// An unquoted or quoted column name.
fn name(text: &str) -> Option<String> {
    let name = text.trim().trim_matches('"');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = name.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    (begins && name.bytes().all(plain)).then(|| name.to_owned())
}

/// A literal.
fn value(text: &str) -> Option<Value> {
    let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    let quoted = quoted.or_else(|| text.strip_prefix('"')?.strip_suffix('"'));
    match quoted {
        Some(inner) if !inner.contains(['\'', '"']) => Some(json!(inner)),
        Some(_) => None,
        None => serde_json::from_str(&text.to_ascii_lowercase())
            .ok()
            .filter(|value: &Value| value.is_number() || value.is_boolean()),
    }
}

fn strip_word<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let begins = text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    begins.then(|| &text[word.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_conditions_are_told_as_json() {
        for (text, meant) in [
            ("id = 1", json!({"id": 1})),
            ("WHERE status = 'open' AND age >= 18;", json!({"status": "open", "age": {"gte": 18}})),
            ("age>18 and age<65", json!({"age": {"gt": 18, "lt": 65}})),
            ("\"name\" ILIKE '%an%'", json!({"name": {"ilike": "%an%"}})),
            ("vip = TRUE", json!({"vip": true})),
            ("email IS NOT NULL", json!({"email": {"is_null": false}})),
            ("email is null", json!({"email": {"is_null": true}})),
            ("id != 2.5", json!({"id": {"ne": 2.5}})),
        ] {
            assert_eq!(as_json(text).map(Value::Object), Some(meant), "{text}");
        }
        for text in [
            "",
            "id",
            "id = ",
            "1=1",
            "id = 1 OR id = 2",
            "id = other",
            "lower(name) = 'x'",
            "id = (select 1)",
            "name = 'O''Brien'",
            "name not like 'x'",
            "id = 1 and id = 2",
            "a = 1; DROP TABLE b",
            "é = 1",
        ] {
            assert_eq!(as_json(text), None, "{text}");
        }
    }
}

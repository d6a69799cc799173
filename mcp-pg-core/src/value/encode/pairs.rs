//! The text form of hstore: keys, each with a string or null.

use serde_json::{Map, Value};

/// The pairs in hstore's text form; `None` if a value is neither a string nor null, nor can be written as a string.
pub(super) fn encode(pairs: &Map<String, Value>) -> Option<String> {
    let pair = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::Null => "NULL".to_owned(),
            Value::String(text) => in_quotes(text),
            Value::Number(_) | Value::Bool(_) => in_quotes(&value.to_string()),
            Value::Array(_) | Value::Object(_) => return None,
        };
        Some(format!("{}=>{value}", in_quotes(key)))
    };
    let pairs: Option<Vec<String>> = pairs.iter().map(pair).collect();
    Some(pairs?.join(", "))
}

/// The text in double quotes, escaped as in literals.
pub(crate) fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pairs_are_quoted() {
        for (pairs, text) in [
            (json!({}), Some("")),
            (json!({"a": "1", "b": null}), Some(r#""a"=>"1", "b"=>NULL"#)),
            (
                json!({"a\"=>": "\\", "n": 1.5, "t": true}),
                Some(r#""a\"=>"=>"\\", "n"=>"1.5", "t"=>"true""#),
            ),
            (json!({"a": "NULL"}), Some(r#""a"=>"NULL""#)),
            (json!({"a": []}), None),
        ] {
            assert_eq!(encode(pairs.as_object().unwrap()).as_deref(), text, "{pairs}");
        }
    }
}

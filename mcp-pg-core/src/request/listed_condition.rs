//! Conditions written as a list. The error shows the equivalent object.

use serde_json::{Map, Value, json};

/// Longer lists are not taken for such a mistake.
const MOST: usize = 8;

/// The object equivalent to a list of conditions, if each item names a column, an operator and a value.
pub(super) fn as_json(list: &[Value]) -> Option<Map<String, Value>> {
    if list.is_empty() || list.len() > MOST {
        return None;
    }
    let objects: Vec<&Map<String, Value>> =
        list.iter().map(Value::as_object).collect::<Option<_>>()?;
    let mut conditions = Map::new();
    for object in &objects {
        let Some((column, condition)) = named(object) else { break };
        conditions.insert(column.to_owned(), condition);
    }
    if conditions.len() == objects.len() {
        return Some(conditions);
    }
    json!({ "and": list }).as_object().cloned()
}

/// `{"column": "age", "operator": ">", "value": 18}`.
fn named(object: &Map<String, Value>) -> Option<(&str, Value)> {
    let member = |names: &[&str]| names.iter().find_map(|name| object.get(*name));
    let column = member(&["column", "field", "name", "key"])?.as_str()?;
    let value = member(&["value", "val"])?.clone();
    let operator = member(&["operator", "op", "comparison"]).and_then(Value::as_str);
    let condition = match operator.unwrap_or("=") {
        "=" | "==" | "eq" | "equals" => value,
        "!=" | "<>" | "neq" => json!({"ne": value}),
        ">" => json!({"gt": value}),
        ">=" => json!({"gte": value}),
        "<" => json!({"lt": value}),
        "<=" => json!({"lte": value}),
        other => json!({other.to_ascii_lowercase(): value}),
    };
    Some((column, condition))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::as_json;

    #[test]
    fn lists_are_told_as_objects() {
        let told =
            |list: serde_json::Value| as_json(list.as_array().unwrap()).map(|told| json!(told));
        let named = json!([{"column": "age", "operator": ">", "value": 18}, {"field": "name", "value": "x"}]);
        assert_eq!(told(named), Some(json!({"age": {"gt": 18}, "name": "x"})));
        let plain = json!([{"age": 18}, {"name": "x"}]);
        assert_eq!(told(plain.clone()), Some(json!({"and": plain})));
        assert_eq!(told(json!(["age > 18"])), None);
    }
}

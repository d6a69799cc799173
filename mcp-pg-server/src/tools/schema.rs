//! JSON Schemas of requests and replies, in a form that every client and model understands.
//!
//! schemars derives them from the types. Here they are simplified: no references, titles, number formats or unions
//! with null, and `enum` for alternatives of constants.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::{Contract, SchemaSettings};
use serde_json::{Map, Value, json};

/// Arguments that the description of the tool explains, or that need no explanation. Errors describe them.
const PLAIN: [&str; 5] = ["as", "do", "min_rows", "operation", "operations"];

/// The schema of a tool's arguments.
pub(super) fn input<T: JsonSchema>() -> JsonObject {
    // The items of untyped lists in requests are names or objects.
    let item = json!({"anyOf": [{"type": "string"}, {"type": "object"}]});
    let mut schema = root::<T>(Contract::Deserialize, Some(&item));
    for name in ["group_by", "order_by"] {
        let property = schema.get_mut("properties").and_then(|all| all.get_mut(name));
        property.and_then(Value::as_object_mut).into_iter().for_each(or_name);
    }
    // Every tool has this argument, so only the first one describes it.
    if let Some(table) = schema.get_mut("properties").and_then(|all| all.get_mut("table"))
        && let Some(table) = table.as_object_mut()
    {
        table.remove("description");
    }
    schema
}

/// The schema of a reply, without descriptions, which models do not need.
pub(super) fn output<T: JsonSchema>() -> JsonObject {
    let mut schema = root::<T>(Contract::Serialize, None);
    undescribed(&mut schema);
    schema
}

fn root<T: JsonSchema>(contract: Contract, item: Option<&Value>) -> JsonObject {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    settings.contract = contract;
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut object = match Value::from(schema) {
        Value::Object(object) => object,
        _ => Map::new(),
    };
    // The description of the type is the tool's.
    object.remove("description");
    plain(&mut object, item);
    object
}

/// Simplifies the schema. `item` is the schema of the items of untyped lists.
fn plain(schema: &mut JsonObject, item: Option<&Value>) {
    for noise in ["title", "format", "default", "minimum"] {
        schema.remove(noise);
    }
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
        // What sets examples apart in the library's documentation would only take room here.
        for (quoted, plain) in [("`{", "{"), ("}`", "}"), ("`[", "["), ("]`", "]")] {
            *description = description.replace(quoted, plain);
        }
    }
    merge_nullable(schema);
    constants_as_enum(schema);
    alternatives_of_types(schema);
    if schema.get("additionalProperties") == Some(&Value::Bool(true)) {
        schema.remove("additionalProperties");
    }
    let required: Vec<Value> =
        schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            let Value::Object(property) = property else { continue };
            if !required.iter().any(|required| required == name) {
                without_null(property);
            }
            plain(property, item);
            if PLAIN.contains(&name.as_str()) {
                property.remove("description");
            }
        }
    }
    match (schema.get_mut("items"), item) {
        (Some(Value::Object(items)), _) => plain(items, item),
        (Some(items), Some(item)) => *items = item.clone(),
        (Some(_), None) => {
            schema.remove("items");
        }
        (None, _) => {}
    }
    if let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") {
        alternatives
            .iter_mut()
            .filter_map(Value::as_object_mut)
            .for_each(|schema| plain(schema, item));
    }
}

/// A list of names may also be a single name.
fn or_name(schema: &mut JsonObject) {
    let list: JsonObject =
        ["type", "items"].into_iter().filter_map(|key| schema.remove_entry(key)).collect();
    schema.insert("anyOf".into(), json!([{"type": "string"}, list]));
}

/// `anyOf: [X, null]` becomes X, with null allowed.
fn merge_nullable(schema: &mut JsonObject) {
    let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") else { return };
    alternatives.retain(|alternative| alternative != &json!({"type": "null"}));
    if let [Value::Object(only)] = alternatives.as_mut_slice() {
        let only = std::mem::take(only);
        schema.remove("anyOf");
        for (key, value) in only {
            schema.entry(key).or_insert(value);
        }
    }
}

/// `type: [X, null]` of an optional member becomes X.
fn without_null(schema: &mut JsonObject) {
    let Some(Value::Array(types)) = schema.get_mut("type") else { return };
    types.retain(|name| name != "null");
    if let [only] = types.as_mut_slice() {
        let only = only.take();
        schema.insert("type".into(), only);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
}

/// `oneOf: [{const: a}, {const: b}]` becomes `enum: [a, b]`.
fn constants_as_enum(schema: &mut JsonObject) {
    let Some(Value::Array(alternatives)) = schema.get("oneOf") else { return };
    let constants: Option<Vec<Value>> =
        alternatives.iter().map(|alternative| alternative.get("const").cloned()).collect();
    if let Some(constants) = constants {
        schema.remove("oneOf");
        schema.insert("type".into(), "string".into());
        schema.insert("enum".into(), constants.into());
    }
}

/// `type: [object, array]` becomes `anyOf`, because few clients understand lists of types.
fn alternatives_of_types(schema: &mut JsonObject) {
    if !schema.get("type").is_some_and(Value::is_array) {
        return;
    }
    let (Some(Value::Array(types)), items) = (schema.remove("type"), schema.remove("items")) else {
        return;
    };
    let alternatives: Vec<Value> = types
        .into_iter()
        .map(|name| match (&items, name.as_str()) {
            (Some(items), Some("array")) => json!({"type": "array", "items": items}),
            _ => json!({"type": name}),
        })
        .collect();
    schema.insert("anyOf".into(), alternatives.into());
}

fn undescribed(schema: &mut JsonObject) {
    schema.remove("description");
    for value in schema.values_mut() {
        undescribed_value(value);
    }
}

fn undescribed_value(value: &mut Value) {
    match value {
        Value::Object(object) => undescribed(object),
        Value::Array(values) => values.iter_mut().for_each(undescribed_value),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use mcp_pg_core::reply::RowSet;
    use mcp_pg_core::request::{Insert, Select};

    use super::*;

    #[test]
    fn arguments_are_plain() {
        let select = Value::from(input::<Select>());
        assert_eq!(select["type"], "object");
        assert_eq!(select["additionalProperties"], false);
        assert_eq!(select["required"], json!(["table"]));
        let properties = &select["properties"];
        assert_eq!(
            properties["limit"],
            json!({"type": "integer", "description": "Most rows to return."})
        );
        assert_eq!(properties["archived"]["enum"], json!(["exclude", "include", "only"]));
        assert_eq!(properties["where"]["type"], "object");
        let insert = Value::from(input::<Insert>());
        assert_eq!(
            insert["properties"]["data"]["anyOf"],
            json!([{"type": "object"}, {"type": "array", "items": {"type": "object"}}])
        );
        assert_eq!(
            select["properties"]["order_by"]["anyOf"],
            json!([{"type": "string"}, {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "object"}]}}])
        );
        assert_eq!(insert["properties"]["on_conflict"]["required"], json!(["do"]));
        let examples = [&select["properties"]["order_by"], &insert["properties"]["on_conflict"]];
        let told = examples.map(|of| of["description"].as_str().unwrap());
        assert!(told[0].starts_with("[\"last_name\"") && !told[0].contains('`'), "{}", told[0]);
        assert!(told[1].ends_with("\"do\": \"update\"}."), "{}", told[1]);
    }

    #[test]
    fn only_what_is_always_there_may_be_null() {
        let rows = Value::from(output::<RowSet>());
        assert_eq!(
            rows["properties"]["next_cursor"],
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]})
        );
        assert_eq!(rows["properties"]["text"], json!({"type": "string"}));
        assert_eq!(rows["required"], json!(["table", "row_count", "truncated", "next_cursor"]));
    }
}

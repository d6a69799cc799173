//! Schemas that differ from those of the types.

use mcp_pg_core::policy::Actions;
use mcp_pg_core::reply::{Committed, RowSet};
use mcp_pg_core::request::{Aggregate, Explain, Select, Step};
use rmcp::model::JsonObject;
use serde_json::{Map, Value, json};

use super::entry::{Needs, TABLE};
use super::{TOOLS, schema};

/// The arguments of `transaction`, whose schema is `input`. An operation has the arguments of the role's tools.
pub(super) fn transaction(mut input: JsonObject, actions: Actions) -> JsonObject {
    let step = input
        .get_mut("properties")
        .and_then(|properties| properties.get_mut("operations"))
        .and_then(|operations| operations.get_mut("items"))
        .and_then(Value::as_object_mut);
    let Some(step) = step else { return input };
    let mut arguments = Map::new();
    for (entry, tool) in TABLE.iter().zip(TOOLS.iter()) {
        let Needs::One(action) = entry.needs else { continue };
        if !actions.contains(action) || !Step::OPERATIONS.contains(&entry.name) {
            continue;
        }
        let of_tool = tool.input_schema.get("properties").and_then(Value::as_object);
        for (name, schema) in of_tool.into_iter().flatten() {
            let mut schema = schema.clone();
            if let Some(schema) = schema.as_object_mut() {
                // The tool with this name has the rest.
                keep_kind(schema);
            }
            arguments.entry(name.clone()).or_insert(schema);
        }
    }
    // An operation cannot be a dry run of its own.
    arguments.remove("dry_run");
    if let Some(Value::Object(own)) = step.get_mut("properties") {
        let operations = TABLE.iter().filter(|entry| {
            let may = matches!(entry.needs, Needs::One(action) if actions.contains(action));
            may && Step::OPERATIONS.contains(&entry.name)
        });
        let operations: Vec<&str> = operations.map(|entry| entry.name).collect();
        own.insert("operation".into(), json!({"type": "string", "enum": operations}));
        for (name, schema) in arguments {
            own.entry(name).or_insert(schema);
        }
    }
    step.remove("description");
    step.insert("required".into(), json!(["operation", "table"]));
    step.insert("additionalProperties".into(), false.into());
    input
}

/// The arguments of `explain`, and those of the operations that it explains.
pub(super) fn explain() -> JsonObject {
    let mut input = schema::input::<Explain>();
    let mut arguments = schema::input::<Select>();
    let own = arguments.get_mut("properties").map(Value::take);
    let aggregate = schema::input::<Aggregate>().get_mut("properties").map(Value::take);
    let all = [own, aggregate].into_iter().flatten().filter_map(|properties| match properties {
        Value::Object(properties) => Some(properties),
        _ => None,
    });
    if let Some(Value::Object(properties)) = input.get_mut("properties") {
        for (name, mut schema) in all.flatten() {
            if let Some(schema) = schema.as_object_mut() {
                keep_kind(schema);
            }
            properties.entry(name).or_insert(schema);
        }
    }
    input.insert("required".into(), json!(["operation", "table"]));
    input.insert("additionalProperties".into(), false.into());
    input
}

/// Reduces an argument's schema to its type. Items keep theirs: some clients drop a tool that leaves one open.
fn keep_kind(schema: &mut JsonObject) {
    schema.retain(|key, _| matches!(key.as_str(), "type" | "items" | "anyOf"));
    let Some(Value::Array(choices)) = schema.get_mut("anyOf") else { return };
    // That a list may also be a single name takes too much room.
    let list = choices.iter_mut().find(|choice| choice["items"].get("anyOf").is_some());
    match list.map(Value::take) {
        Some(Value::Object(list)) => *schema = list,
        _ => choices.iter_mut().filter_map(Value::as_object_mut).for_each(keep_kind),
    }
}

/// Lets a write's condition be absent, so that the engine can return the error about that.
pub(super) fn with_condition(mut input: JsonObject) -> JsonObject {
    if let Some(Value::Array(required)) = input.get_mut("required") {
        required.push("where".into());
    }
    input
}

/// The schema of a reply or an error. Clients check both against it, so no member is required.
pub(super) fn or_error(mut output: JsonObject) -> JsonObject {
    output.remove("required");
    if let Some(Value::Object(properties)) = output.get_mut("properties") {
        properties.insert("error".into(), json!({"type": "object"}));
    }
    output
}

/// The schema of a reply with rows. The table's name is that of the request, and takes room.
pub(super) fn rows() -> JsonObject {
    let mut output = schema::output::<RowSet>();
    let required = output.get("required").cloned().unwrap_or_default();
    let listed = |name: &str| {
        name == "rows"
            || name != "table"
                && required.as_array().is_some_and(|names| names.iter().any(|known| known == name))
    };
    if let Some(Value::Object(properties)) = output.get_mut("properties") {
        properties.retain(|name, _| listed(name));
    }
    output
}

/// The schema of a write's reply: the main members of a [`RowSet`], for which the list has room.
pub(super) fn written() -> JsonObject {
    object(json!({
        "type": "object",
        "properties": {
            "rows": {"type": "array"},
            "row_count": {"type": "integer"},
        },
        "required": ["row_count"],
    }))
}

/// The schema of `list_tables`' reply.
pub(super) fn tables() -> JsonObject {
    object(json!({
        "type": "object",
        "properties": {
            "tables": {"type": "array"},
            "next_cursor": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["tables", "next_cursor"],
    }))
}

/// The schema of `explain`'s reply.
pub(super) fn explanation() -> JsonObject {
    object(json!({
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "plan": {"type": "object"},
            "hints": {"type": "array"},
        },
        "required": ["text", "plan", "hints"],
    }))
}

fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

/// The schema of a transaction's reply. Each result is that of its operation.
pub(super) fn results() -> JsonObject {
    let mut output = schema::output::<Committed>();
    if let Some(results) = output.get_mut("properties").and_then(|all| all.get_mut("results")) {
        *results = json!({"type": "array", "items": {"type": "object"}});
    }
    output
}

/// The schema of `describe_table`'s reply: its main member.
pub(super) fn description() -> JsonObject {
    object(json!({
        "type": "object",
        "properties": {
            "columns": {"type": "array"},
        },
        "required": ["columns"],
    }))
}

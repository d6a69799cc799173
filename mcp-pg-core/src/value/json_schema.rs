//! JSON Schemas of PostgreSQL's types: of values that callers give, and of values in replies.
//!
//! Where a caller's value has one of several types, `anyOf` lists them: many clients refuse a list of types, null in an
//! `enum`, and arguments of any type. They do not convert the schemas of replies, where a list is shorter.

use serde_json::{Map, Value, json};

use super::scalar::Scalar;
use crate::schema::{DataType, Kind};

/// The schema of values for a parameter of the type, in the forms of replies. [`encode`](super::encode()) accepts other
/// forms, too.
///
/// ```
/// use mcp_pg_core::schema::DataType;
/// use mcp_pg_core::value::accepted;
///
/// assert_eq!(accepted(DataType::text())["type"], "string");
/// // What no JSON number holds exactly is a text of digits.
/// let types = serde_json::json!([{"type": "integer"}, {"type": "string"}]);
/// assert_eq!(accepted(DataType::bigint())["anyOf"], types);
/// ```
pub fn accepted(data_type: &DataType) -> Map<String, Value> {
    let data_type = data_type.base();
    let schema = match &data_type.kind {
        Kind::Enum(labels) => json!({"type": "string", "enum": labels}),
        Kind::Array { element, .. } => {
            json!({"type": "array", "items": or_null(accepted(element))})
        }
        Kind::Multirange(range) => json!({"type": "array", "items": accepted(range)}),
        Kind::Composite(fields) => {
            let properties = fields
                .iter()
                .map(|field| (field.name.clone(), or_null(accepted(&field.data_type)).into()));
            json!({"type": "object", "properties": properties.collect::<Map<_, _>>()})
        }
        Kind::Range(subtype) => {
            let bound = or_null(accepted(subtype));
            json!({
                "type": "object",
                "properties": {"lower": bound, "upper": bound, "bounds": {"type": "string"}},
            })
        }
        Kind::Base | Kind::Domain { .. } => match Scalar::of(data_type) {
            Scalar::Bool => json!({"type": "boolean"}),
            Scalar::Int2 | Scalar::Int4 | Scalar::Oid => json!({"type": "integer"}),
            Scalar::Int8 => one_of(&["integer", "string"]),
            Scalar::Float4 | Scalar::Float8 | Scalar::Numeric => one_of(&["number", "string"]),
            Scalar::Json | Scalar::Jsonb => any_json(),
            Scalar::Uuid => json!({"type": "string", "format": "uuid"}),
            Scalar::Date => json!({"type": "string", "format": "date"}),
            Scalar::TimestampTz => json!({"type": "string", "format": "date-time"}),
            Scalar::Bytea => json!({"type": "string", "contentEncoding": "base64"}),
            _ => json!({"type": "string"}),
        },
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

/// The schema of the same values, or null.
///
/// ```
/// use mcp_pg_core::schema::DataType;
/// use mcp_pg_core::value::{accepted, or_null};
///
/// let types = serde_json::json!([{"type": "string"}, {"type": "null"}]);
/// assert_eq!(or_null(accepted(DataType::text()))["anyOf"], types);
/// ```
pub fn or_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    // With rules about the value beside it, it must remain one alternative.
    if schema.len() == 1
        && let Some(Value::Array(alternatives)) = schema.get_mut("anyOf")
    {
        alternatives.push(json!({"type": "null"}));
        return schema;
    }
    Map::from_iter([("anyOf".to_owned(), json!([schema, {"type": "null"}]))])
}

/// The schema of values of these types.
fn one_of(types: &[&str]) -> Value {
    let alternatives: Vec<Value> = types.iter().map(|name| json!({"type": name})).collect();
    json!({"anyOf": alternatives})
}

/// The schema of any JSON but null, which is no value. Lists of lists of lists have no words in it.
fn any_json() -> Value {
    const PLAIN: [&str; 4] = ["object", "string", "number", "boolean"];
    let listed = |items: Value| {
        let mut any = one_of(&PLAIN);
        if let Some(Value::Array(alternatives)) = any.get_mut("anyOf") {
            alternatives.push(json!({"type": "array", "items": items}));
        }
        any
    };
    let nullable = |schema: Value| match schema {
        Value::Object(schema) => or_null(schema).into(),
        other => other,
    };
    listed(nullable(listed(nullable(one_of(&PLAIN)))))
}

/// The schema of the type's values in a reply; any may be null.
pub fn produced(data_type: &DataType) -> Value {
    let data_type = data_type.base();
    let types: &[&str] = match &data_type.kind {
        // If elements are arrays themselves, an array of several dimensions is a string.
        Kind::Array { .. } | Kind::Multirange(_) => &["array", "string", "null"],
        Kind::Composite(_) | Kind::Range(_) => &["object", "null"],
        Kind::Enum(_) => &["string", "null"],
        Kind::Base | Kind::Domain { .. } => match Scalar::of(data_type) {
            Scalar::Bool => &["boolean", "null"],
            Scalar::Int2 | Scalar::Int4 | Scalar::Oid => &["integer", "null"],
            Scalar::Int8 => &["integer", "string", "null"],
            Scalar::Float4 | Scalar::Float8 | Scalar::Numeric => &["number", "string", "null"],
            Scalar::Json | Scalar::Jsonb => return json!({}),
            // The text form of some types is parsed by the caller, such as vectors of numbers.
            Scalar::Other => return json!({}),
            _ => &["string", "null"],
        },
    };
    json!({ "type": types })
}

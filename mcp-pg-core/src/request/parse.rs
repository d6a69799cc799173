//! JSON arguments → a request.
//!
//! Unknown and missing arguments are found by the type's own JSON Schema, so that an error can name the
//! nearest right one; harmless slips (a lone value for a list, JSON sent as a string) are mended.

use std::sync::OnceLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;
use serde_json::{Map, Value, json};
use serde_path_to_error::Segment;

use super::argument::{check_members, elsewhere, meant, unknown};
use super::{
    Aggregate, Change, Delete, DescribeTable, Explain, Insert, ListTables, Related, Select,
    Transaction, Update, listed_condition, sql_condition,
};
use crate::error::{Code, Error, Result, step};

/// The arguments of a tool: a type whose JSON Schema and parser are one.
pub trait Arguments: DeserializeOwned + JsonSchema {
    /// The arguments that exist, read once from the JSON Schema.
    fn shape() -> &'static Shape;
}

/// The arguments of a type, as its JSON Schema lists them.
#[derive(Debug)]
pub struct Shape {
    members: Vec<Member>,
    /// Whether other arguments are refused here (else the type itself passes them on).
    closed: bool,
}

#[derive(Debug)]
struct Member {
    name: String,
    json_type: Option<String>,
    description: Option<String>,
    /// The values that it may have, if those are few.
    values: Vec<String>,
    required: bool,
    /// Those of its own, if it is an object that has some.
    members: Vec<Member>,
}

impl Shape {
    fn of<T: JsonSchema>() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.inline_subschemas = true;
        let schema = settings.into_generator().into_root_schema_for::<T>();
        let members = members(schema.as_value());
        Self { members, closed: schema.get("additionalProperties") == Some(&Value::Bool(false)) }
    }

    fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// The error with what is to be known of the argument, if all of it is wrong.
    fn described(&self, error: Error) -> Error {
        let at = error.get_at().unwrap_or_default();
        let Some(wrong) = member_at(&self.members, at) else { return error };
        let error = match wrong.values.as_slice() {
            [] => error,
            values => error.allowed(values),
        };
        match &wrong.description {
            Some(description) => error.hint(description.clone()),
            None => error,
        }
    }
}

macro_rules! arguments {
    ($($name:ty),*) => {
        $(impl Arguments for $name {
            fn shape() -> &'static Shape {
                static SHAPE: OnceLock<Shape> = OnceLock::new();
                SHAPE.get_or_init(Shape::of::<$name>)
            }
        })*
    };
}

arguments!(
    Aggregate,
    Change,
    Delete,
    DescribeTable,
    Explain,
    Insert,
    ListTables,
    Related,
    Select,
    Transaction,
    Update
);

/// How deeply arguments may nest: as deep as JSON parsers take them.
const DEPTH_MOST: usize = 128;

/// Refuses arguments that are nested so deeply that looking at them would take too much stack.
///
/// # Errors
///
/// `limit_exceeded`, at the argument.
pub fn check_depth(arguments: &Map<String, Value>) -> Result<()> {
    for (name, argument) in arguments {
        let mut open = vec![(argument, 1)];
        while let Some((value, depth)) = open.pop() {
            if depth > DEPTH_MOST {
                return Err(Error::new(
                    Code::LimitExceeded,
                    format!("arguments may be nested {DEPTH_MOST} levels deep, and no more"),
                )
                .at(step(name)));
            }
            match value {
                Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
                Value::Object(members) => {
                    open.extend(members.values().map(|member| (member, depth + 1)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// A request from its JSON arguments.
///
/// # Errors
///
/// `unknown_argument`, `missing_value` or `invalid_value`, each with its place.
///
/// ```
/// use mcp_pg_core::request::{Select, parse};
/// use serde_json::json;
///
/// let arguments = json!({"table": "users", "columns": "id", "limit": "5"});
/// let select: Select = parse(arguments.as_object().unwrap().clone()).unwrap();
/// assert_eq!((select.columns, select.limit), (Some(vec![json!("id")]), Some(5)));
///
/// let wrong = parse::<Select>(json!({"tabel": "users"}).as_object().unwrap().clone());
/// assert_eq!(wrong.unwrap_err().get_at(), Some("/tabel"));
/// ```
pub fn parse<T: Arguments>(arguments: Map<String, Value>) -> Result<T> {
    T::deserialize(&arguments).or_else(|_| mended(arguments))
}

/// The same from arguments that are still needed.
pub(crate) fn parse_ref<'r, T: Arguments>(
    arguments: impl Iterator<Item = (&'r String, &'r Value)> + Clone,
) -> Result<T> {
    let members = arguments.clone().map(|(name, value)| (name.as_str(), value));
    let parsed = T::deserialize(MapDeserializer::<_, serde_json::Error>::new(members));
    let copied = || arguments.map(|(name, value)| (name.clone(), value.clone())).collect();
    parsed.or_else(|_| mended(copied()))
}

/// A request from arguments that are not in order: from what was meant, or the error that tells what is wrong.
fn mended<T: Arguments>(mut arguments: Map<String, Value>) -> Result<T> {
    let shape = T::shape();
    if shape.closed {
        check_members(&arguments, shape.names(), "there is no argument").map_err(|error| {
            let takes = |wanted| shape.names().any(|name| name == wanted);
            let given = unknown(&arguments, shape.names()).unwrap_or_default();
            let plain = |value: &&Value| !value.is_array() && !value.is_object();
            match (elsewhere(given), arguments.get(given).filter(plain)) {
                _ if error.get_did_you_mean().is_some() && takes("search") => error,
                (Some(hint), _) if !takes("measures") => error.hint(hint),
                (None, Some(value)) if takes("where") && error.get_did_you_mean().is_none() => {
                    error.hint(format!(
                        "a condition on a column: \"where\": {}",
                        json!({given: value})
                    ))
                }
                _ => error,
            }
        })?;
    }
    for member in &shape.members {
        match arguments.get_mut(&member.name) {
            Some(Value::Null) if member.json_type.is_some() => {
                arguments.shift_remove(&member.name);
            }
            Some(value) => {
                let listed = match member.name.as_str() {
                    "include" => by_name(value),
                    "on_conflict" => by_columns(value),
                    _ => None,
                };
                let mended = listed.or_else(|| mend(value, member.json_type.as_deref()));
                if let Some(mended) = mended {
                    *value = mended;
                }
            }
            None => {}
        }
        // An absent condition is `where_required`, which the plan answers.
        if member.required && member.name != "where" && !arguments.contains_key(&member.name) {
            return Err(shape.described(missing(&member.name).at(step(&member.name))));
        }
    }
    let condition = match arguments.get("where") {
        Some(Value::String(text)) => sql_condition::as_json(text),
        Some(Value::Array(list)) => listed_condition::as_json(list),
        _ => None,
    };
    serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|error| {
        let error = shape.described(told(&error));
        match condition.filter(|_| error.get_at() == Some("/where")) {
            Some(meant) => {
                error.hint(format!("a condition is an object: \"where\": {}", Value::Object(meant)))
            }
            None => error,
        }
    })
}

/// The arguments that a schema lists.
fn members(schema: &Value) -> Vec<Member> {
    let names = schema.get("required").and_then(Value::as_array);
    let required: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let member = |(name, member): (&String, &Value)| Member {
        name: name.clone(),
        json_type: match member.get("type") {
            Some(Value::String(one)) => Some(one.clone()),
            // An optional argument is its type or null.
            Some(Value::Array(several)) => match several.as_slice() {
                [Value::String(one), Value::String(null)] if null == "null" => Some(one.clone()),
                _ => None,
            },
            _ => None,
        },
        description: member.get("description").and_then(Value::as_str).map(one_line),
        values: values(member),
        required: required.contains(&name.as_str()),
        members: either(member).chain([member]).flat_map(members).collect(),
    };
    properties.into_iter().flatten().map(member).collect()
}

/// The argument at a place, which may be one of another.
fn member_at<'m>(members: &'m [Member], at: &str) -> Option<&'m Member> {
    members.iter().find_map(|member| match at.strip_prefix(&step(&member.name))? {
        "" => Some(member),
        rest => member_at(&member.members, rest),
    })
}

/// The schemas of which one is to be met.
fn either(schema: &Value) -> impl Iterator<Item = &Value> {
    let either = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array);
    either.into_iter().flatten()
}

/// The constants that a schema lists, null aside.
fn values(schema: &Value) -> Vec<String> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let constant = schema.get("const");
    let own = listed.chain(constant).filter_map(Value::as_str).map(str::to_owned);
    own.chain(either(schema).flat_map(values)).collect()
}

/// A description is wrapped as the source is.
fn one_line(description: &str) -> String {
    description.replace('\n', " ")
}

fn missing(name: &str) -> Error {
    Error::new(Code::MissingValue, format!("the argument {name:?} is required"))
}

/// The value that was meant, where a value of another JSON type was sent.
fn mend(value: &Value, wanted: Option<&str>) -> Option<Value> {
    match (wanted?, value) {
        ("array", Value::Array(_)) | ("object", Value::Object(_)) => None,
        ("array", Value::String(text)) if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).ok().filter(Value::is_array)
        }
        ("array", other) => Some(Value::Array(vec![other.clone()])),
        ("object", Value::String(text)) => serde_json::from_str(text).ok().filter(Value::is_object),
        ("integer", Value::String(text)) => text.parse::<u64>().ok().map(Value::from),
        // JSON Schema takes 2.0 for an integer.
        ("integer", Value::Number(number)) if number.is_f64() => {
            number.to_string().strip_suffix(".0")?.parse::<u64>().ok().map(Value::from)
        }
        ("boolean", Value::String(text)) => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    }
}

/// Relations of which nothing but the names is said.
fn by_name(value: &Value) -> Option<Value> {
    let names = match value {
        Value::Array(names) => names.as_slice(),
        Value::String(text) if !text.trim_start().starts_with('{') => std::slice::from_ref(value),
        _ => return None,
    };
    let whole = names.iter().map(|name| Some((name.as_str()?.to_owned(), Value::Bool(true))));
    whole.collect::<Option<Map<_, _>>>().map(Value::Object)
}

/// A key of which nothing but its columns is said, or the only one of them.
fn by_columns(value: &Value) -> Option<Value> {
    let columns = match value {
        Value::Array(columns) if columns.iter().all(Value::is_string) => {
            return Some(json!({"columns": columns}));
        }
        Value::Object(members) => members.get("columns").filter(|columns| columns.is_string())?,
        _ => return None,
    };
    let mut mended = value.clone();
    mended["columns"] = json!([columns]);
    Some(mended)
}

/// What serde found, in this crate's terms.
fn told(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let mut at: String = error
        .path()
        .iter()
        .map(|segment| match segment {
            Segment::Seq { index } => step(index),
            Segment::Map { key } => step(key),
            // An object where one of several words is wanted: all of it is wrong.
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect();
    let message = error.inner().to_string();
    // What the caller wrote may hold anything; what was expected comes last, and is known.
    let (found, expected) = message.rsplit_once(", expected ").unwrap_or((&message, ""));
    let subject = found.split_once('`').and_then(|(_, rest)| rest.rsplit_once('`'));
    let subject = subject.map_or("", |(subject, _)| subject);
    let error = if message.starts_with("unknown field") {
        Error::new(Code::UnknownArgument, format!("there is no argument {subject:?}"))
    } else if message.starts_with("missing field") {
        missing(subject)
    } else if message.starts_with("unknown variant") {
        Error::new(Code::InvalidValue, format!("{subject:?} is none of the allowed values"))
    } else {
        let message = match found.split_once(": ") {
            Some((_, got)) if !expected.is_empty() => {
                format!("expected {}, got {}", in_json(expected), in_json(got))
            }
            _ => message,
        };
        return Error::new(Code::InvalidValue, message).at(at);
    };
    if error.code() != Code::InvalidValue && !at.ends_with(&step(subject)) {
        at.push_str(&step(subject));
    }
    let known = expected.split('`').skip(1).step_by(2);
    meant(error.at(at), subject, known.clone()).allowed(known)
}

/// What serde calls a Rust type or value, in the terms of JSON.
fn in_json(term: &str) -> String {
    const LONGEST: usize = 80;
    match term {
        "map" | "a map" => "an object".into(),
        "string or map" | "unit" => "one of the allowed values".into(),
        "sequence" | "a sequence" => "a list".into(),
        "u32" | "u64" | "usize" => "a whole number, 0 or more".into(),
        _ if term.starts_with("struct ") => "an object".into(),
        _ if term.len() > LONGEST => "another value".into(),
        _ => {
            let number = ["integer ", "floating point ", "boolean "];
            let bare = number.iter().find_map(|kind| term.strip_prefix(kind));
            let term = bare.map_or_else(|| term.to_owned(), str::to_owned).replace('`', "");
            if term.starts_with("string \"") { format!("the {term}") } else { term }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{Insert, Select, Update};
    use super::{Arguments, parse};

    fn check<T: Arguments>(arguments: Value, expected: (&str, &str)) {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        match parse::<T>(arguments) {
            Ok(_) => panic!("{expected:?} was expected"),
            Err(error) => assert_eq!(
                (error.code().as_str(), error.get_at().unwrap_or_default()),
                expected,
                "{error}"
            ),
        }
    }

    #[test]
    fn every_slip_is_told_with_its_place() {
        check::<Select>(json!({}), ("missing_value", "/table"));
        check::<Select>(json!({"table": null}), ("missing_value", "/table"));
        check::<Select>(json!({"table": "t", "filter": {}}), ("unknown_argument", "/filter"));
        check::<Select>(json!({"table": "t", "limit": -1}), ("invalid_value", "/limit"));
        check::<Select>(json!({"table": "t", "count": "exactly"}), ("invalid_value", "/count"));
        check::<Update>(json!({"table": "t", "where": {}}), ("missing_value", "/updates"));
        let on_conflict = json!({"table": "t", "data": {}, "on_conflict": {"column": "id"}});
        check::<Insert>(on_conflict, ("unknown_argument", "/on_conflict/column"));
        let on_conflict = json!({"table": "t", "data": {}, "on_conflict": {"columns": ["id"]}});
        check::<Insert>(on_conflict.clone(), ("missing_value", "/on_conflict/do"));
        let absent = parse::<Insert>(on_conflict.as_object().cloned().unwrap()).unwrap_err();
        assert_eq!(absent.get_allowed(), ["update", "nothing"]);
        for odd in ["a`b", "a, expected `b`", "` at line 1"] {
            let on_conflict = json!({"table": "t", "data": {}, "on_conflict": {"do": odd}});
            let error = parse::<Insert>(on_conflict.as_object().cloned().unwrap()).unwrap_err();
            assert_eq!(error.message(), format!("{odd:?} is none of the allowed values"));
            assert_eq!(error.get_allowed(), ["update", "nothing"]);
        }
    }

    #[test]
    fn harmless_slips_are_mended() {
        let select: Select = parse(
            json!({"table": "t", "where": "{\"a\": 1}", "order_by": "-a", "offset": null, "limit": 2.0})
                .as_object()
                .cloned()
                .unwrap(),
        )
        .unwrap();
        assert_eq!(select.filter, json!({"a": 1}).as_object().cloned());
        assert_eq!(select.order_by, Some(vec![json!("-a")]));
        assert_eq!((select.offset, select.limit), (None, Some(2)));
    }
}

//! JSON arguments → a request.
//!
//! The type's JSON Schema tells which arguments are unknown or missing, so that an error can name the nearest one.
//! Values that are clearly meant are corrected: a single value for a list, JSON sent as a string.

use serde::de::value::MapDeserializer;
use serde_json::{Map, Value, json};
use serde_path_to_error::Segment;

use super::argument::{check_members, elsewhere, meant, unknown};
use super::shape::Arguments;
use super::{Request, listed_condition, sql_condition};
use crate::error::{Code, Error, Result, below, step};
use crate::name::shown;

/// The places of arguments that are a single value where a list is expected, outer ones first. The value is taken for a list of
/// one, whose place is not in the arguments as they were given.
#[derive(Default)]
pub(crate) struct Singles(Vec<String>);

impl Singles {
    /// Those among the arguments of any tool.
    pub(crate) fn of(arguments: &Map<String, Value>) -> Self {
        let mut singles = Self::default();
        singles.add(arguments, "");
        singles
    }

    fn add(&mut self, arguments: &Map<String, Value>, outside: &str) {
        for (name, value) in arguments {
            let place = || format!("{outside}{}", step(name));
            match (name.as_str(), value) {
                ("operations", Value::Array(operations)) => {
                    for (index, operation) in operations.iter().enumerate() {
                        self.add_within(operation, &format!("{}/{index}", place()));
                    }
                }
                ("columns" | "group_by" | "operations" | "order_by" | "returning", single)
                    if !single.is_array() =>
                {
                    self.0.push(place());
                    if name == "operations" {
                        self.add_within(single, &place());
                    }
                }
                ("include", Value::Object(relations)) => {
                    for (relation, options) in relations {
                        self.add_within(options, &below(&place(), relation));
                    }
                }
                _ => {}
            }
        }
    }

    fn add_within(&mut self, arguments: &Value, place: &str) {
        arguments.as_object().into_iter().for_each(|arguments| self.add(arguments, place));
    }

    /// The error with its place in the arguments as they were given.
    pub(crate) fn placed(&self, error: Error) -> Error {
        self.0.iter().fold(error, |error, single| {
            let rest = error
                .get_at()
                .and_then(|at| at.strip_prefix(single.as_str())?.strip_prefix("/0"))
                .filter(|rest| rest.is_empty() || rest.starts_with('/'));
            match rest.map(|rest| format!("{single}{rest}")) {
                Some(at) => error.at(at),
                None => error,
            }
        })
    }
}

/// Parses JSON arguments.
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

/// The same for arguments that the caller still needs.
pub(crate) fn parse_ref<'r, T: Arguments>(
    arguments: impl Iterator<Item = (&'r String, &'r Value)> + Clone,
) -> Result<T> {
    let members = arguments.clone().map(|(name, value)| (name.as_str(), value));
    let parsed = T::deserialize(MapDeserializer::<_, serde_json::Error>::new(members));
    let copied = || arguments.map(|(name, value)| (name.clone(), value.clone())).collect();
    parsed.or_else(|_| mended(copied()))
}

/// Parses arguments that do not fit the type: corrects them, or returns the error that says what is wrong.
fn mended<T: Arguments>(mut arguments: Map<String, Value>) -> Result<T> {
    let shape = T::shape();
    if shape.closed {
        // Clients that fill in every argument give null to those of a transaction's other operations, too.
        arguments.retain(|name, value| !value.is_null() || !Request::has_argument(name));
        check_members(&arguments, shape.names(), "there is no argument").map_err(|error| {
            let takes = |wanted| shape.names().any(|name| name == wanted);
            let given = unknown(&arguments, shape.names()).unwrap_or_default();
            let plain = |value: &&Value| !value.is_array() && !value.is_object();
            match (elsewhere(given), arguments.get(given).filter(plain)) {
                _ if error.get_did_you_mean().is_some() && takes("search") => error,
                // Of the tools that return written rows, delete alone has none.
                _ if given == "include" && takes("returning") => {
                    error.hint("related rows are read by a select before it, in one transaction")
                }
                (Some(hint), _) if !takes("measures") => error.hint(hint),
                (None, Some(value)) if takes("where") && error.get_did_you_mean().is_none() => {
                    error.hint(format!(
                        "if {given} is a column: \"where\": {}",
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
            Some(Value::String(text)) if text.is_empty() && member.has_no_empty_text() => {
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
        // A missing condition is the error `where_required` of the plan.
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
        // In JSON Schema, 2.0 is an integer.
        ("integer", Value::Number(number)) if number.is_f64() => {
            number.to_string().strip_suffix(".0")?.parse::<u64>().ok().map(Value::from)
        }
        ("boolean", Value::String(text)) => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    }
}

/// Relations given by their names only.
fn by_name(value: &Value) -> Option<Value> {
    let names = match value {
        Value::Array(names) => names.as_slice(),
        Value::String(text) if !text.trim_start().starts_with('{') => std::slice::from_ref(value),
        _ => return None,
    };
    let whole = names.iter().map(|name| Some((name.as_str()?.to_owned(), Value::Bool(true))));
    whole.collect::<Option<Map<_, _>>>().map(Value::Object)
}

/// A key given by its columns only, or by its only column.
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

/// serde's error as an error of this crate.
fn told(error: &serde_path_to_error::Error<serde_json::Error>) -> Error {
    let mut at: String = error
        .path()
        .iter()
        .map(|segment| match segment {
            Segment::Seq { index } => step(index),
            Segment::Map { key } => step(key),
            // An object instead of one of several words: all of it is wrong.
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect();
    let message = error.inner().to_string();
    // The given value may contain any text, so the message is split at the last occurrence.
    let (found, expected) = message.rsplit_once(", expected ").unwrap_or((&message, ""));
    let subject = found.split_once('`').and_then(|(_, rest)| rest.rsplit_once('`'));
    let subject = subject.map_or("", |(subject, _)| subject);
    let error = if message.starts_with("unknown field") {
        Error::new(Code::UnknownArgument, format!("there is no argument {}", shown(subject)))
    } else if message.starts_with("missing field") {
        missing(subject)
    } else if message.starts_with("unknown variant") {
        let message = format!("{} is not one of the allowed values", shown(subject));
        Error::new(Code::InvalidValue, message)
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

/// The JSON term for a Rust type or value in serde's message.
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
    use serde_json::{Map, Value, json};

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
            assert_eq!(error.message(), format!("{odd:?} is not one of the allowed values"));
            assert_eq!(error.get_allowed(), ["update", "nothing"]);
        }
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        let given = json!({"table": "t", "format": "x".repeat(1_000)});
        let error = parse::<Select>(given.as_object().cloned().unwrap()).unwrap_err();
        assert!(error.message().len() < 150, "{error}");
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

    /// Clients that fill in every argument have only these values for what is not wanted.
    #[test]
    fn nothing_is_not_given() {
        let plain: Select = parse(Map::from_iter([("table".to_owned(), json!("t"))])).unwrap();
        let mut filled = Map::from_iter([("table".to_owned(), json!("t"))]);
        let names =
            Select::shape().names().chain(Update::shape().names()).chain(["operation", "as"]);
        for name in names.filter(|name| *name != "table") {
            filled.insert(name.to_owned(), Value::Null);
        }
        assert_eq!(parse::<Select>(filled.clone()).unwrap(), plain);
        filled.insert("tabel".to_owned(), Value::Null);
        assert_eq!(parse::<Select>(filled).unwrap_err().get_at(), Some("/tabel"));
        let empty = json!({"table": "t", "columns": "", "where": "", "order_by": "", "limit": "", "count": "",
                           "include": "", "archived": ""});
        assert_eq!(parse::<Select>(empty.as_object().cloned().unwrap()).unwrap(), plain);
        let guarded = json!({"table": "t", "where": {"id": 1}, "updates": {"n": 1}, "dry_run": ""});
        let refused = parse::<Update>(guarded.as_object().cloned().unwrap()).unwrap_err();
        assert_eq!(refused.get_at(), Some("/dry_run"));
    }
}

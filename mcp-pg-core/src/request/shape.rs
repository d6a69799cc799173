//! The arguments of a tool, read from the JSON Schema of its type.

use std::sync::OnceLock;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Aggregate, Change, Delete, DescribeTable, Explain, Insert, ListTables, Related, Select,
    Transaction, Update,
};
use crate::error::{Error, step};

/// A type that is both the JSON Schema and the parser of a tool's arguments.
pub trait Arguments: DeserializeOwned + JsonSchema {
    /// The arguments, read from the JSON Schema once.
    fn shape() -> &'static Shape;
}

/// The arguments of a type, according to its JSON Schema.
#[derive(Debug)]
pub struct Shape {
    pub(super) members: Vec<Member>,
    /// Whether other arguments are refused. If not, the type passes them on.
    pub(super) closed: bool,
}

#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) json_type: Option<String>,
    description: Option<String>,
    /// Its values, if it is an enum.
    values: Vec<String>,
    pub(super) required: bool,
    /// Its members, if it is an object with a fixed set of them.
    members: Vec<Member>,
}

impl Member {
    /// Whether it may be left out, and an empty text is none of its values. For a boolean it would be a guess: `dry_run` guards.
    pub(super) fn has_no_empty_text(&self) -> bool {
        let json_type = self.json_type.as_deref();
        let typed = json_type.is_some_and(|one| !matches!(one, "string" | "boolean"));
        !self.required && (typed || !self.values.is_empty())
    }
}

impl Shape {
    fn of<T: JsonSchema>() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.inline_subschemas = true;
        let schema = settings.into_generator().into_root_schema_for::<T>();
        let members = members(schema.as_value());
        Self { members, closed: schema.get("additionalProperties") == Some(&Value::Bool(false)) }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.members.iter().map(|member| member.name.as_str())
    }

    /// The error with a description of the argument, if the whole argument is wrong.
    pub(super) fn described(&self, error: Error) -> Error {
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

/// The arguments in a schema.
fn members(schema: &Value) -> Vec<Member> {
    let names = schema.get("required").and_then(Value::as_array);
    let required: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let member = |(name, member): (&String, &Value)| Member {
        name: name.clone(),
        json_type: match member.get("type") {
            Some(Value::String(one)) => Some(one.clone()),
            // The schema of an optional argument is its type or null.
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

/// The argument at a place, which may be within another one.
fn member_at<'m>(members: &'m [Member], at: &str) -> Option<&'m Member> {
    members.iter().find_map(|member| match at.strip_prefix(&step(&member.name))? {
        "" => Some(member),
        rest => member_at(&member.members, rest),
    })
}

/// The alternatives of a schema.
fn either(schema: &Value) -> impl Iterator<Item = &Value> {
    let either = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array);
    either.into_iter().flatten()
}

/// The constants in a schema, without null.
fn values(schema: &Value) -> Vec<String> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    let constant = schema.get("const");
    let own = listed.chain(constant).filter_map(Value::as_str).map(str::to_owned);
    own.chain(either(schema).flat_map(values)).collect()
}

/// Joins the lines of a description, which is wrapped like the source.
fn one_line(description: &str) -> String {
    description.replace('\n', " ")
}

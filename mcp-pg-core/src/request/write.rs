//! Requests that write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Archived;

/// Arguments of `insert`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Insert {
    /// `name` or `schema.name`.
    pub table: String,
    /// A row, `{"column": value}`, or several.
    #[schemars(schema_with = "rows_schema")]
    pub data: Value,
    /// Where a row with the same key exists: `{"columns": ["email"], "do": "update"}`.
    pub on_conflict: Option<OnConflict>,
    /// Columns to return; all if absent.
    pub returning: Option<Vec<Value>>,
    /// Related rows, as in select.
    pub include: Option<Map<String, Value>>,
    /// Report what would happen; keep nothing.
    pub dry_run: Option<bool>,
}

fn rows_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["object", "array"],
        "description": "A row, {\"column\": value}, or several.",
        "items": { "type": "object" }
    })
}

fn updates_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["object", "array"],
        "items": { "type": "object" }
    })
}

fn overwritten_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["array", "object"],
        "items": { "type": "string" }
    })
}

fn version_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "integer"] })
}

/// What an insert does about an existing key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnConflict {
    /// Those of a key; any key if absent, with `nothing` alone.
    #[schemars(description = "The columns of a primary or unique key.")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// What becomes of the existing row.
    #[serde(rename = "do")]
    pub action: ConflictAction,
    /// Columns to overwrite; all given but the key if absent. Or what existing rows are set to, as `updates`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        schema_with = "overwritten_schema",
        description = "Columns to overwrite; all given but the key if absent. Or values, as `updates`."
    )]
    pub update: Option<Value>,
}

/// See [`OnConflict::action`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConflictAction {
    /// Overwrite the existing row.
    Update,
    /// Leave the existing row as it is.
    Nothing,
}

/// Arguments of `update`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// `name` or `schema.name`.
    pub table: String,
    /// Conditions, as in select; not empty, unless `updates` names the rows.
    #[serde(rename = "where", default)]
    #[schemars(required, description = "Conditions, as in select; not empty.")]
    pub filter: Map<String, Value>,
    /// An object of columns and values, for all rows that match; or a list of such objects, each with the
    /// columns of a primary or unique key, which name its row.
    #[schemars(
        schema_with = "updates_schema",
        description = "{\"column\": value}; a value may be {\"$increment\": 1} (\"1 month\" for dates), {\"$compute\": \
            {\"multiply\": [\"price\", 1.1]}}, {\"$column\": \"other\"}, {\"$now\": true}, {\"$default\": true}, {\"$append\": [..]}, {\"$remove\": \
            [..]}, {\"$merge\": {..}}, {\"$set\": {\"path\": [\"a\", \"b\"], \"value\": 1}}. Or a list, each row with its key: \
            [{\"id\": 1, \"rate\": 2}]; `where` is then {} or narrows."
    )]
    pub updates: Value,
    /// Most rows it may touch (default 1; as many as `updates` names, if it is a list).
    #[schemars(description = "Most rows it may touch (default 1).")]
    pub max_rows: Option<u64>,
    /// Fewest rows it must meet (default 0); otherwise it changes nothing.
    pub min_rows: Option<u64>,
    /// `_version` as read; a row changed since answers `conflict`.
    #[serde(default)]
    #[schemars(schema_with = "version_schema")]
    pub if_version: Option<Value>,
    /// Columns to return; all if absent.
    pub returning: Option<Vec<Value>>,
    /// Related rows, as in select.
    pub include: Option<Map<String, Value>>,
    /// Archived rows (default exclude).
    pub archived: Option<Archived>,
    /// Report what would happen; keep nothing.
    pub dry_run: Option<bool>,
}

/// Arguments of `archive` and `restore`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// `name` or `schema.name`.
    pub table: String,
    /// Conditions, as in select; not empty.
    #[serde(rename = "where", default)]
    #[schemars(required)]
    pub filter: Map<String, Value>,
    /// Most rows it may touch (default 1).
    pub max_rows: Option<u64>,
    /// Fewest rows it must meet (default 0); otherwise it changes nothing.
    pub min_rows: Option<u64>,
    /// `_version` as read; a row changed since answers `conflict`.
    #[serde(default)]
    #[schemars(schema_with = "version_schema")]
    pub if_version: Option<Value>,
    /// Columns to return; all if absent.
    pub returning: Option<Vec<Value>>,
    /// Related rows, as in select.
    pub include: Option<Map<String, Value>>,
    /// Report what would happen; keep nothing.
    pub dry_run: Option<bool>,
}

/// Arguments of `delete`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// `name` or `schema.name`.
    pub table: String,
    /// Conditions, as in select; not empty.
    #[serde(rename = "where", default)]
    #[schemars(required)]
    pub filter: Map<String, Value>,
    /// Most rows it may touch (default 1).
    pub max_rows: Option<u64>,
    /// Fewest rows it must meet (default 0); otherwise it changes nothing.
    pub min_rows: Option<u64>,
    /// `_version` as read; a row changed since answers `conflict`.
    #[serde(default)]
    #[schemars(schema_with = "version_schema")]
    pub if_version: Option<Value>,
    /// Columns to return; all if absent.
    pub returning: Option<Vec<Value>>,
    /// Archived rows (default exclude).
    pub archived: Option<Archived>,
    /// Report what would happen; keep nothing.
    pub dry_run: Option<bool>,
}

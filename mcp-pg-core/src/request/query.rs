//! Requests that read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Arguments of `list_tables`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTables {
    /// Only this schema.
    pub schema: Option<String>,
    /// Words to find in names and comments.
    pub search: Option<String>,
    /// Names, or a summary of each (default).
    pub detail: Option<Detail>,
    /// `next_cursor` of the page before, with the same arguments.
    pub cursor: Option<String>,
}

/// How much `list_tables` tells of each table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Names alone.
    Names,
    /// A line on each.
    Summary,
}

/// Arguments of `describe_table`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DescribeTable {
    /// `name` or `schema.name`.
    pub table: String,
}

/// Arguments of `select`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Select {
    /// `name` or `schema.name`.
    pub table: String,
    /// Columns to return, "customer.name" too; all if absent. Inside JSON: `{"column": "meta", "path": ["a", "b"], "as": "b"}`; computed:
    /// `{"multiply": ["price", "quantity"], "as": "total"}`, `{"sum": "orders.total", "where": {..}, "as": "spent"}`.
    pub columns: Option<Vec<Value>>,
    /// Each combination of `columns` once.
    pub distinct: Option<bool>,
    /// Conditions: `{"status": "active", "age": {"gte": 18}, "or": [{..}, {..}]}`.
    #[serde(rename = "where")]
    pub filter: Option<Map<String, Value>>,
    /// Related rows: `{"customer": true, "items": {"columns": ["sku"], "where": {..}, "limit": 5}}`.
    pub include: Option<Map<String, Value>>,
    /// `["last_name", "-created_at", {"column": "score", "direction": "desc", "nulls": "last"}]`; also `{"column": "body",
    /// "rank": "words"}` (best match first), `{"column": "title", "distance": "text"}`, `{"count": "orders"}`.
    pub order_by: Option<Vec<Value>>,
    /// Most rows to return.
    pub limit: Option<u64>,
    /// Rows to skip; prefer `cursor`.
    pub offset: Option<u64>,
    /// `next_cursor` of the page before, with the same arguments.
    pub cursor: Option<String>,
    /// "exact" also counts all rows.
    pub count: Option<Count>,
    /// Archived rows (default exclude).
    pub archived: Option<Archived>,
    /// Adds `_version`, for `if_version` of a write.
    pub with_version: Option<bool>,
    /// Rows as objects (json, default), lists (columns) or text.
    pub format: Option<Format>,
}

/// Arguments of `aggregate`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregate {
    /// `name` or `schema.name`.
    pub table: String,
    /// `{"n": {"count": "*"}, "open": {"count": "*", "where": {..}}, "rate": {"divide": ["open", "n"]}, "revenue": {"sum":
    /// {"multiply": ["price", "quantity"]}}, "part": {"share": "revenue"}}`.
    pub measures: Map<String, Value>,
    /// Conditions: `{"status": "active", "age": {"gte": 18}, "or": [{..}, {..}]}`.
    #[serde(rename = "where")]
    pub filter: Option<Map<String, Value>>,
    /// `["status", {"column": "created_at", "bucket": "month"}, {"column": "created_at", "part": "weekday"},
    /// {"column": "tags", "each": true}, "customer.country"]`.
    pub group_by: Option<Vec<Value>>,
    /// Conditions on measures and groups: `{"n": {"gt": 5}}`.
    pub having: Option<Map<String, Value>>,
    /// Measures or groups: `["-revenue"]`.
    pub order_by: Option<Vec<Value>>,
    /// Most rows to return.
    pub limit: Option<u64>,
    /// Rows to skip; prefer `cursor`.
    pub offset: Option<u64>,
    /// `next_cursor` of the page before, with the same arguments.
    pub cursor: Option<String>,
    /// "exact" also counts all rows.
    pub count: Option<Count>,
    /// Archived rows (default exclude).
    pub archived: Option<Archived>,
}

/// Arguments of `explain`: an operation, and that operation's arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explain {
    /// What to explain.
    pub operation: Explained,
    /// Run it, for real rows and times.
    pub analyze: Option<bool>,
    /// The arguments of the operation.
    #[serde(flatten)]
    pub arguments: Map<String, Value>,
}

/// What can be explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Explained {
    /// A select.
    Select,
    /// An aggregate.
    Aggregate,
}

/// Whether a read also counts all its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// No count.
    #[default]
    None,
    /// Counted row by row.
    Exact,
    /// The planner's estimate.
    Estimated,
}

/// What becomes of archived rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Archived {
    /// Left out.
    #[default]
    Exclude,
    /// Treated as any other.
    Include,
    /// The only ones.
    Only,
}

/// The shape of rows in a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// An object a row.
    #[default]
    Json,
    /// Column names once, then an array a row.
    Columns,
    /// A table in plain text.
    Text,
}

/// What is wanted of the rows of an included relation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Related {
    /// Columns to return; all if absent.
    pub columns: Option<Vec<Value>>,
    /// Conditions on the related rows.
    #[serde(rename = "where")]
    pub filter: Option<Map<String, Value>>,
    /// Their order.
    pub order_by: Option<Vec<Value>>,
    /// Most of them, for each row.
    pub limit: Option<u64>,
    /// Rows related to them.
    pub include: Option<Map<String, Value>>,
    /// Only how many there are.
    pub count: Option<bool>,
    /// Archived ones; as the request itself if absent.
    pub archived: Option<Archived>,
}

//! The requests that callers can make, as data: no rules, no schema, no rights.
//!
//! A [`Request`] is any of them, to be built in Rust or read by [`Request::parse`]. Each type derives both its JSON Schema and
//! its parser, so they cannot differ. Conditions, rows and relations are JSON values here, because their meaning depends on the
//! table; `docs/queries.md` in the repository shows them by examples.
//!
//! ```
//! use mcp_pg_core::Request;
//! use mcp_pg_core::request::{Aggregate, Update};
//! use serde_json::{Map, Value, json};
//!
//! let object = |value: Value| -> Map<String, Value> { value.as_object().cloned().unwrap_or_default() };
//! let by_country = Request::Aggregate(Aggregate {
//!     table: "orders".into(),
//!     measures: object(json!({"revenue": {"sum": "total"}})),
//!     filter: Some(object(json!({"status": "paid"}))),
//!     group_by: Some(vec!["user.country".into()]),
//!     ..Aggregate::default()
//! });
//! let dearer = Request::Update(Update {
//!     table: "products".into(),
//!     filter: object(json!({"category": {"name": "Tea"}})),
//!     updates: json!({"price": {"$compute": {"multiply": ["price", 1.05]}}}),
//!     max_rows: Some(100),
//!     ..Update::default()
//! });
//! assert_eq!((by_country.tool(), dearer.tool()), ("aggregate", "update"));
//! ```
//!
//! A reply says what it means: see [`Engine::handle`](crate::Engine::handle). Several requests in one transaction: [`Step::of`].

mod argument;
mod depth;
mod listed_condition;
mod parse;
mod query;
mod shape;
mod sql_condition;
mod transaction;
mod write;

pub(crate) use argument::check_members;
pub use depth::check_depth;
pub(crate) use depth::check_depth_of;
pub use parse::parse;
pub(crate) use parse::{Singles, parse_ref};
pub use query::{
    Aggregate, Archived, Count, DescribeTable, Detail, Explain, Explained, Format, ListTables,
    Related, Select,
};
pub use shape::Arguments;
pub use transaction::{Isolation, Step, Transaction};
pub use write::{Change, ConflictAction, Delete, Insert, OnConflict, Update};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident($arguments:ty) => $tool:literal,)*) => {
        /// A request of any kind, for [`Engine::handle`](crate::Engine::handle).
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum Request { $($(#[$doc])* $name($arguments),)* }

        impl Request {
            /// The tools that are requests, in the order in which they are listed.
            pub const TOOLS: &[&'static str] = &[$($tool,)*];

            /// Parses the arguments of a tool call.
            ///
            /// ```
            /// use mcp_pg_core::Request;
            /// use serde_json::{Map, Value, json};
            ///
            /// let arguments = |value: Value| -> Map<String, Value> {
            ///     value.as_object().cloned().unwrap_or_default()
            /// };
            /// let request = Request::parse("select", arguments(json!({"table": "orders"})))?;
            /// assert!(matches!(request, Request::Select(select) if select.table == "orders"));
            ///
            /// let error = Request::parse("select", arguments(json!({"tabel": "orders"}))).unwrap_err();
            /// assert_eq!(error.get_did_you_mean(), Some("table"));
            /// # Ok::<_, mcp_pg_core::Error>(())
            /// ```
            ///
            /// # Errors
            ///
            /// `unknown_argument` for an unknown tool, and errors about the arguments.
            pub fn parse(tool: &str, arguments: Map<String, Value>) -> Result<Self> {
                match tool {
                    $($tool => parse(arguments).map(Request::$name),)*
                    _ => Err(unknown_tool(tool, &[])),
                }
            }

            /// Whether any tool, or any operation of a transaction, has an argument with this name.
            pub(crate) fn has_argument(name: &str) -> bool {
                name == "as"
                    || $(<$arguments as Arguments>::shape().names().any(|known| known == name))||*
            }

            /// The tool of this request.
            pub fn tool(&self) -> &'static str {
                match self { $(Request::$name(_) => $tool,)* }
            }
        }
    };
}

requests! {
    /// Which tables there are.
    ListTables(ListTables) => "list_tables",
    /// All about one table.
    DescribeTable(DescribeTable) => "describe_table",
    /// Rows of a table.
    Select(Select) => "select",
    /// Totals over rows.
    Aggregate(Aggregate) => "aggregate",
    /// New rows.
    Insert(Insert) => "insert",
    /// Changed rows.
    Update(Update) => "update",
    /// Rows set aside.
    Archive(Change) => "archive",
    /// Rows brought back.
    Restore(Change) => "restore",
    /// Rows removed for good.
    Delete(Delete) => "delete",
    /// Several of these, all or nothing.
    Transaction(Transaction) => "transaction",
    /// How PostgreSQL would run a select or aggregate.
    Explain(Explain) => "explain",
}

/// The error for a tool that is neither a request nor one of the database's `own` tools.
pub(crate) fn unknown_tool(tool: &str, own: &[&str]) -> Error {
    let tools = || Request::TOOLS.iter().chain(own).copied();
    Error::new(Code::UnknownArgument, format!("there is no tool {tool:?}"))
        .nearest(tool, tools())
        .allowed(tools())
}

impl Request {
    /// The tools that only read, which no user has to confirm.
    pub(crate) const READS: [&'static str; 5] =
        ["list_tables", "describe_table", "select", "aggregate", "explain"];

    /// The table that the request names.
    pub fn table(&self) -> Option<&str> {
        match self {
            Request::ListTables(_) | Request::Transaction(_) => None,
            Request::Explain(request) => request.arguments.get("table")?.as_str(),
            Request::DescribeTable(request) => Some(&request.table),
            Request::Select(request) => Some(&request.table),
            Request::Aggregate(request) => Some(&request.table),
            Request::Insert(request) => Some(&request.table),
            Request::Update(request) => Some(&request.table),
            Request::Archive(request) | Request::Restore(request) => Some(&request.table),
            Request::Delete(request) => Some(&request.table),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new tool belongs to one of both.
    #[test]
    fn a_tool_reads_or_writes() {
        let writes = ["insert", "update", "archive", "restore", "delete", "transaction"];
        let mut known: Vec<&str> = Request::READS.into_iter().chain(writes).collect();
        let mut tools = Request::TOOLS.to_vec();
        known.sort_unstable();
        tools.sort_unstable();
        assert_eq!(known, tools);
    }
}

//! What a caller may ask, as data: no rules, no schema, no rights.
//!
//! Each type derives both its JSON Schema and its parser, so the two cannot differ. Conditions, rows and
//! relations stay JSON here: what they mean depends on the table, which the plan knows.

mod parse;
mod query;
mod transaction;
mod write;

pub(crate) use parse::parse_ref;
pub use parse::{Arguments, check_depth, parse};
pub use query::{
    Aggregate, Archived, Count, DescribeTable, Detail, Explain, Explained, Format, ListTables,
    Related, Select,
};
pub use transaction::{Isolation, Step, Transaction};
pub use write::{Change, ConflictAction, Delete, Insert, OnConflict, Update};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Code, Error, Result};

/// A request of any kind: what [`Engine::handle`](crate::Engine::handle) answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Request {
    /// Which tables there are.
    ListTables(ListTables),
    /// All about one table.
    DescribeTable(DescribeTable),
    /// Rows of a table.
    Select(Select),
    /// Totals over rows.
    Aggregate(Aggregate),
    /// New rows.
    Insert(Insert),
    /// Changed rows.
    Update(Update),
    /// Rows set aside.
    Archive(Change),
    /// Rows brought back.
    Restore(Change),
    /// Rows removed for good.
    Delete(Delete),
    /// Several of these, all or nothing.
    Transaction(Transaction),
    /// How PostgreSQL would run a select or aggregate.
    Explain(Explain),
}

impl Request {
    /// The request of a tool call.
    ///
    /// # Errors
    ///
    /// `unknown_argument` for a tool that does not exist, and whatever is wrong with the arguments.
    pub fn parse(tool: &str, arguments: Map<String, Value>) -> Result<Self> {
        Ok(match tool {
            "list_tables" => Request::ListTables(parse(arguments)?),
            "describe_table" => Request::DescribeTable(parse(arguments)?),
            "select" => Request::Select(parse(arguments)?),
            "aggregate" => Request::Aggregate(parse(arguments)?),
            "insert" => Request::Insert(parse(arguments)?),
            "update" => Request::Update(parse(arguments)?),
            "archive" => Request::Archive(parse(arguments)?),
            "restore" => Request::Restore(parse(arguments)?),
            "delete" => Request::Delete(parse(arguments)?),
            "transaction" => Request::Transaction(parse(arguments)?),
            "explain" => Request::Explain(parse(arguments)?),
            _ => {
                return Err(Error::new(
                    Code::UnknownArgument,
                    format!("there is no tool {tool:?}"),
                )
                .nearest(tool, Self::TOOLS)
                .allowed(Self::TOOLS));
            }
        })
    }

    /// The tools that have a request of their own, in the order in which they are listed.
    pub const TOOLS: [&str; 11] = [
        "list_tables",
        "describe_table",
        "select",
        "aggregate",
        "insert",
        "update",
        "archive",
        "restore",
        "delete",
        "transaction",
        "explain",
    ];

    /// The tool that this is a call of.
    pub fn tool(&self) -> &'static str {
        match self {
            Request::ListTables(_) => "list_tables",
            Request::DescribeTable(_) => "describe_table",
            Request::Select(_) => "select",
            Request::Aggregate(_) => "aggregate",
            Request::Insert(_) => "insert",
            Request::Update(_) => "update",
            Request::Archive(_) => "archive",
            Request::Restore(_) => "restore",
            Request::Delete(_) => "delete",
            Request::Transaction(_) => "transaction",
            Request::Explain(_) => "explain",
        }
    }

    /// The table that it is about, as the caller named it.
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

//! Several operations, all or nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Request;
use crate::error::{Code, Error, Result};

/// Arguments of `transaction`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// Run in order.
    pub operations: Vec<Step>,
    /// Default serializable.
    pub isolation: Option<Isolation>,
    /// Report what would happen; keep nothing.
    pub dry_run: Option<bool>,
}

/// One operation of a [`Transaction`]. [`Step::of`] makes one of a request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// `select`, `aggregate`, `insert`, `update`, `archive`, `restore` or `delete`.
    #[serde(default)]
    #[schemars(required, extend("enum" = Step::OPERATIONS))]
    pub operation: String,
    /// A name for `$ref` in later operations.
    #[serde(rename = "as")]
    pub name: Option<String>,
    /// The table and other arguments of that operation.
    #[serde(flatten)]
    pub arguments: Map<String, Value>,
}

impl Step {
    /// The tools that are operations of a transaction, too.
    pub const OPERATIONS: [&str; 7] =
        ["select", "aggregate", "insert", "update", "archive", "restore", "delete"];

    /// The operation that does what the request does. What is `None` there is left out.
    ///
    /// ```
    /// use mcp_pg_core::Request;
    /// use mcp_pg_core::request::{Change, Insert, Step, Transaction};
    /// use serde_json::{Value, json};
    ///
    /// let order = Insert {
    ///     table: "orders".into(),
    ///     data: json!({"user_id": 1, "total": 12.50}),
    ///     ..Insert::default()
    /// };
    /// let item = Insert {
    ///     table: "order_items".into(),
    ///     // The key that the order was given.
    ///     data: json!({"order_id": {"$ref": "order.order_id"}, "product_id": 7, "quantity": 1}),
    ///     ..Insert::default()
    /// };
    /// let request = Transaction {
    ///     operations: vec![
    ///         Step { name: Some("order".into()), ..Step::of(Request::Insert(order)) },
    ///         Step::of(Request::Insert(item)),
    ///     ],
    ///     ..Transaction::default()
    /// };
    /// assert_eq!(request.operations[1].operation, "insert");
    /// // It is a request itself: engine.handle(&caller, Request::Transaction(request))
    /// # assert!(matches!(request.operations[0].request()?, Request::Insert(_)));
    /// # Ok::<_, mcp_pg_core::Error>(())
    /// ```
    pub fn of(request: Request) -> Self {
        let arguments = match serde_json::to_value(&request) {
            Ok(Value::Object(arguments)) => arguments,
            _ => Map::new(),
        };
        let given = arguments.into_iter().filter(|(_, value)| !value.is_null());
        Self { operation: request.tool().to_owned(), name: None, arguments: given.collect() }
    }

    /// The operation as a request of its own.
    ///
    /// # Errors
    ///
    /// `invalid_value` for an operation that does not exist, and whatever is wrong with its arguments.
    pub fn request(&self) -> Result<Request> {
        let operation = self.operation.as_str();
        if operation.is_empty() {
            let message = "the argument \"operation\" is required";
            let error = Error::new(Code::MissingValue, message);
            let error = error.at("/operation").allowed(Self::OPERATIONS);
            // By another name, such as `op`.
            let mut texts =
                self.arguments.iter().filter_map(|(name, of)| Some((name, of.as_str()?)));
            let other = texts.find(|(_, text)| Self::OPERATIONS.contains(text));
            return Err(match other {
                Some((name, text)) => {
                    error.hint(format!("{{\"operation\": {text:?}, …}}, not {name:?}"))
                }
                None => error.hint("{\"operation\": \"insert\", \"table\": …, \"data\": {…}}"),
            });
        }
        if !Self::OPERATIONS.contains(&operation) {
            return Err(Error::new(
                Code::InvalidValue,
                format!("{operation:?} is not an operation of a transaction"),
            )
            .at("/operation")
            .nearest(operation, Self::OPERATIONS)
            .allowed(Self::OPERATIONS));
        }
        if self
            .arguments
            .get("dry_run")
            .is_some_and(|given| !matches!(given, Value::Null | Value::Bool(false)))
        {
            return Err(Error::new(
                Code::UnknownArgument,
                "a transaction is a dry run as a whole or not at all",
            )
            .at("/dry_run")
            .hint("give dry_run to the transaction"));
        }
        Request::parse(operation, self.arguments.clone()).map_err(|error| match error.get_at() {
            Some("/id" | "/name" | "/alias" | "/label" | "/ref")
                if error.code() == Code::UnknownArgument =>
            {
                error.did_you_mean("as").hint("\"as\" names an operation for $ref in later ones")
            }
            _ => error,
        })
    }
}

/// How far a transaction is kept from others' changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// As if it ran alone.
    #[default]
    Serializable,
    /// One snapshot throughout.
    RepeatableRead,
    /// No less than that: it runs as [`Isolation::RepeatableRead`], so that the rows which are compared with
    /// `if_version` and kept as images are those that are written.
    ReadCommitted,
}

//! Typed access to a PostgreSQL database for callers who must not write SQL, such as language models.
//!
//! An [`Engine`] reads the schema of a database and answers the requests of a [`Principal`]: to select, aggregate,
//! insert, update, archive, restore or delete rows, alone or several in a transaction. Identifiers come from the
//! catalogue, values are parameters, and what the caller's role may not see does not exist for it.
//!
//! # A request
//!
//! [`Engine::handle`] takes a request that is built in Rust, [`Engine::call`] a tool's name and JSON arguments, such as a
//! model's.
//!
//! ```no_run
//! use mcp_pg_core::request::Select;
//! use mcp_pg_core::{Engine, Principal, Reply, Request, Settings};
//! use serde_json::json;
//!
//! # async fn example() -> mcp_pg_core::Result<()> {
//! let database = "postgres://app@localhost/shop".parse().expect("a valid URL");
//! let engine = Engine::connect(database, Settings::default()).await?;
//!
//! // Who asks: a name for the audit log, and a role. Your program decides both, never a model.
//! let caller = Principal::new("nightly-report", "analyst");
//! let request = Select {
//!     table: "orders".into(),
//!     filter: json!({"status": "pending"}).as_object().cloned(),
//!     order_by: Some(vec!["-total".into()]),
//!     ..Select::default()
//! };
//! if let Reply::Rows(page) = engine.handle(&caller, Request::Select(request)).await? {
//!     for row in page.rows.iter().flat_map(|rows| rows.iter()) {
//!         println!("{:?} {:?}", row.get("order_id"), row.get("total"));
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An [`Error`] has a [`Code`] to decide by, a message, and the place in the request:
//!
//! ```no_run
//! # use mcp_pg_core::{Code, Engine, Origin, Principal};
//! # use serde_json::{Map, Value};
//! # async fn example(engine: &Engine, caller: &Principal, arguments: Map<String, Value>) {
//! match engine.call(caller, &Origin::default(), "update", arguments).await {
//!     Ok(reply) => println!("{:?}", reply.into_value()),
//!     Err(error) if error.code() == Code::Conflict => println!("now: {:?}", error.get_current()),
//!     Err(error) if error.is_retryable() => println!("later: {error}"),
//!     Err(error) => println!("{error}"), // unknown_column: … (at /where/nam); did you mean "name"?
//! }
//! # }
//! ```
//!
//! # Roles
//!
//! By default there are the roles `analyst` (reads), `operator` (also inserts, updates, archives and restores) and `admin`.
//! Roles of your own are [grants](policy::Grant) of actions on tables, with hidden, masked and writable columns, conditions on
//! rows, and values that the engine sets. A role may also name the PostgreSQL role that its statements run as, so that row-level
//! security applies.
//!
//! ```
//! use mcp_pg_core::Settings;
//! use mcp_pg_core::policy::{Action, ColumnRules, Grant, Role};
//! use serde_json::json;
//!
//! let customers = Grant {
//!     tables: vec!["public.customers".into()],
//!     actions: [Action::Select, Action::Update].into_iter().collect(),
//!     columns: ColumnRules { exclude: vec!["ssn".into()], ..ColumnRules::default() },
//!     rows: json!({"tenant_id": "claim:tenant_id"}).as_object().cloned(),
//!     ..Grant::default()
//! };
//! let support = Role {
//!     name: "support".into(),
//!     database_role: Some("app_support".into()),
//!     grants: vec![customers],
//!     ..Role::default()
//! };
//! let settings =
//!     Settings { roles: vec![support], default_role: "support".into(), ..Settings::default() };
//! # assert_eq!(settings.roles[0].name, "support");
//! ```
//!
//! [`Engine::findings`] reports settings that do not fit the database.
//!
//! # Where to go on
//!
//! | to | see |
//! |---|---|
//! | build requests, or read them from JSON | [`request`], [`Request::parse`] |
//! | use replies | [`reply`], [`Reply::into_value`] |
//! | limit what is read and written | [`Limits`](policy::Limits), [`RoleLimits`](policy::RoleLimits) |
//! | notice changes of the schema | [`Engine::follow`], [`Engine::changes`] |
//! | keep an audit log | [`Engine::audited`], [`FileSink`](audit::FileSink), [`AuditSink`](audit::AuditSink) |
//! | have the user confirm writes | [`Error::question`], [`Engine::call_agreed`] |
//! | offer hand-written SQL and functions as tools | [`Queries`](policy::Queries), [`Engine::queries`], [`canned`] |
//! | encrypt columns | [`Encryption`](policy::Encryption), [`cipher`] |
//! | look at the schema, whole or as a role sees it | [`Engine::schema`], [`Engine::view`], [`schema`] |
//! | find out what the login may do | [`Engine::posture`] |
//! | end the program | [`Engine::close`] |
//!
//! The crate `mcp-pg-server` serves an engine over the Model Context Protocol.

pub mod error;
pub mod name;

pub mod cipher;
pub mod schema;
#[doc(hidden)]
pub mod value;

pub mod policy;
pub mod request;

// The fuzz targets, benchmarks and tests use these; they are not part of the documented interface.
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod statement;

pub mod audit;
pub mod canned;
pub mod reply;

mod engine;
mod execute;

pub use engine::{Change, Engine, Health, Origin, RefusedSetting, verify_table};
pub use error::{Agreement, Code, Error, Question, Result};
pub use execute::{
    Connections, Posture, ROWS_CHANNEL, SCHEMA_CHANNEL, SETUP_COMMENT, UnreachedType,
};
pub use name::TableName;
pub use policy::{Principal, Settings};
pub use reply::Reply;
pub use request::Request;

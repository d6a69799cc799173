//! Typed access to a PostgreSQL database for callers who must not write SQL, such as language models.
//!
//! An [`Engine`] reads the schema of a database and answers the requests of a [`Principal`]: to select, aggregate,
//! insert, update, archive, restore or delete rows, alone or several in a transaction. Identifiers come from the
//! catalogue, values are parameters, and what the caller's role may not see does not exist for it.
//!
//! ```no_run
//! use mcp_pg_core::request::Select;
//! use mcp_pg_core::{Engine, Principal, Reply, Request, Settings};
//! use serde_json::json;
//!
//! # async fn example() -> mcp_pg_core::Result<()> {
//! let database = "postgres://app@localhost/shop".parse().expect("a valid URL");
//! let engine = Engine::connect(database, Settings::default()).await?;
//! let caller = Principal::new("nightly-report", "analyst");
//! let request = Select {
//!     table: "orders".into(),
//!     filter: json!({"status": "open"}).as_object().cloned(),
//!     ..Select::default()
//! };
//! if let Reply::Rows(rows) = engine.handle(&caller, Request::Select(request)).await? {
//!     println!("{} open orders", rows.row_count);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | contains |
//! |---|---|
//! | [`policy`] | [`Settings`]: roles with their grants, masks and limits |
//! | [`request`] | the requests, and the JSON Schemas of their arguments |
//! | [`reply`] | the replies, and their JSON form |
//! | [`error`] | errors: a code, a message, the place in the request, a hint |
//! | [`schema`] | the tables, columns, keys and relations of a database |
//! | [`canned`] | hand-written queries, and functions of the database, as tools |
//! | [`audit`] | the records of calls, and where they are kept |
//! | [`cipher`] | the keys of encrypted columns |
//!
//! [`Engine::call`] takes a request as JSON. The crate `mcp-pg-server` serves an engine over the Model Context Protocol.

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

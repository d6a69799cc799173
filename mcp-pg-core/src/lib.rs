//! PostgreSQL for callers who must not write SQL.
//!
//! An [`Engine`] reads the schema of a database, and answers typed requests for a [`Principal`]: rows to
//! select, insert, update, archive, restore or delete, alone or several in a transaction. Identifiers come
//! from the catalogue, values are parameters, and what the caller's role may not see does not exist for it.
//!
//! The modules in the order in which a request passes them:
//!
//! | module | turns |
//! |---|---|
//! | [`request`] | JSON arguments into a request |
//! | [`policy`] | a schema and a role into a view |
//! | [`plan`] | a view and a request into a plan |
//! | [`statement`] | a plan into SQL text and parameters |
//! | `execute` | a statement into rows |
//! | [`reply`] | rows into an answer |
//!
//! Beneath them are [`schema`], the catalogue as typed models, [`value`], PostgreSQL's values as JSON, and
//! [`cipher`], which encrypts some of them; beside them [`audit`], and [`canned`], the queries that people wrote.
//! [`Engine`] is the only one that knows them all.

pub mod error;
pub mod name;

pub mod cipher;
pub mod schema;
pub mod value;

pub mod policy;
pub mod request;

pub mod plan;
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

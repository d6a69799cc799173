//! Canned queries: hand-written SQL, and functions of the database, as tools.
//!
//! Parses headers, rewrites `:name` to `$n`, and checks arguments; the JSON Schemas of tools follow from these. Knows
//! neither connections nor callers: the input is a statement as PostgreSQL describes it, the output a statement with
//! parameters.

mod column;
mod declared;
mod directory;
mod fault;
mod function;
mod header;
mod length;
mod parameter;
mod query;
mod roles;
mod rules;
mod shape;
mod source;
mod sql;
mod token;
mod written;

pub use directory::{File, files, is_query};
pub use fault::Fault;
pub use parameter::Parameter;
pub use query::Query;
pub use source::{Body, Source};

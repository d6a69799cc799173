//! Canned queries: hand-written SQL, and functions of the database, as tools.
//!
//! Owns the header's grammar, the rewriting of `:name` to `$n`, what a parameter accepts, and the JSON
//! Schemas that follow from both. Knows neither connections nor who may call: PostgreSQL's description of a
//! statement comes in, a statement with its parameters goes out.

mod column;
mod declared;
mod directory;
mod fault;
mod function;
mod header;
mod parameter;
mod query;
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

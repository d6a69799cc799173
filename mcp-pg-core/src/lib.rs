//! PostgreSQL for callers who must not write SQL.

pub mod audit;
pub mod error;
pub mod name;
pub mod policy;
pub mod reply;
pub mod request;
pub mod schema;
pub mod value;

pub use error::{Code, Error, Result};
pub use name::TableName;
pub use policy::{Principal, Settings};
pub use reply::Reply;
pub use request::Request;

//! Statements → rows: connections, transactions, and what PostgreSQL answers.
//!
//! Owns every byte that goes to the database. Knows statements; not what a request is, nor who may ask.

mod append;
mod database;
mod failure;
mod fetch;
mod inspect;
mod key_refusal;
mod lease;
mod listen;
mod place;
mod posture;
mod query_refusal;
mod refusal;
mod session;
mod tls;
mod transaction;
mod trial;

pub use append::Append;
pub use database::{Database, has_password};
pub use failure::Failure;
pub use fetch::{Fetched, Keep, texts};
pub use inspect::Refused;
pub use key_refusal::ViolatedKey;
pub use listen::{Heard, Listener, ROWS_CHANNEL, SCHEMA_CHANNEL};
pub use place::Place;
pub use posture::Posture;
pub use query_refusal::query_refusal;
pub use refusal::{is_stale, refusal};
pub use transaction::{Identity, Transaction};

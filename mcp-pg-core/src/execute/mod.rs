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
mod pool;
mod posture;
mod presence;
mod query_refusal;
mod refusal;
mod session;
mod tls;
mod transaction;
mod trial;
mod unconnected;
mod words;

pub(crate) use append::Append;
pub(crate) use database::{Database, has_password};
pub(crate) use failure::Failure;
pub(crate) use fetch::{Fetched, Keep, TooLarge, texts};
pub(crate) use inspect::Refused;
pub(crate) use key_refusal::referred;
pub(crate) use listen::Listener;
pub use listen::{ROWS_CHANNEL, SCHEMA_CHANNEL};
pub(crate) use place::Place;
pub use pool::Connections;
pub use posture::{Posture, UnreachedType};
pub(crate) use query_refusal::query_refusal;
pub(crate) use refusal::{is_stale, refusal};
pub(crate) use transaction::{Identity, Transaction};
pub(crate) use words::ViolatedKey;

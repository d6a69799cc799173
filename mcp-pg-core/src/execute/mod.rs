//! Statements → rows: connections, transactions, and what PostgreSQL answers.
//!
//! The only module that communicates with the database. Knows statements, but neither requests nor who may call.

mod append;
mod connection;
mod database;
mod fetch;
mod identity;
mod inspect;
mod known;
mod listen;
mod posture;
mod refusal;
mod transaction;
mod trial;

pub(crate) use append::Append;
pub use connection::Connections;
pub(crate) use database::{Database, has_password};
pub(crate) use fetch::{Fetched, Keep, TooLarge, texts};
pub(crate) use identity::{Identity, unassumable};
pub(crate) use inspect::Refused;
pub(crate) use known::Known;
pub(crate) use listen::Listener;
pub use listen::{ROWS_CHANNEL, SCHEMA_CHANNEL};
pub use posture::{Posture, SETUP_COMMENT, UnreachedType};
pub(crate) use refusal::{
    Failure, NO_PARAMETER, Place, ViolatedKey, is_stale, query_refusal, referred, refusal,
};
pub(crate) use transaction::{Isolation, Mode, Transaction};
pub(crate) use trial::Right;

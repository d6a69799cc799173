//! Statements → rows: connections, transactions, and what PostgreSQL answers.
//!
//! Owns every byte that goes to the database. Knows statements; not what a request is, nor who may ask.

mod append;
mod database;
mod listen;
mod posture;
mod refusal;
mod tls;
mod transaction;

pub use append::Append;
pub use database::{Database, Failure};
pub use listen::{Heard, Listener, ROWS_CHANNEL, SCHEMA_CHANNEL};
pub use posture::Posture;
pub use refusal::{Place, is_stale, refusal};
pub use transaction::{Fetched, Identity, Keep, Transaction, texts};

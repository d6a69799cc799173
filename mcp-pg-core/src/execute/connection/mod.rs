//! Connections: made, encrypted, pooled, lent and reset, and why there is none.

mod lease;
mod pool;
mod presence;
mod session;
mod tls;
mod unconnected;

pub(super) use lease::Lease;
pub use pool::Connections;
pub(super) use pool::Pool;
pub(super) use session::SessionSettings;
pub(super) use tls::client_config;
pub(super) use unconnected::{is_shared, shared, unavailable, unconnected};

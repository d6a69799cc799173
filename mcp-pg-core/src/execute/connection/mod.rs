//! Connections: how they are made, encrypted, pooled and reset, and the errors if there is none.

mod lease;
mod pool;
mod pooler;
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

//! Server.
#[cfg(unix)]
pub mod embedded;

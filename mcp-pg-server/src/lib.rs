//! Server.
#[cfg(unix)]
pub mod embedded;
pub mod sample;

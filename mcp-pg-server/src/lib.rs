//! Server.
#[cfg_attr(not(unix), path = "embedded_elsewhere.rs")]
pub mod embedded;
pub mod sample;

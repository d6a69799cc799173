//! PostgreSQL over the Model Context Protocol.
//!
//! [`service`] is an engine of `mcp-pg-core` as a tower service; [`stdio::serve`] the same on standard
//! input and output. The rest is what the program `mcp-pg-server` adds: its configuration, and a
//! throw-away PostgreSQL to try it on.

pub mod auth;
pub mod cli;
pub mod command;
pub mod config;
#[cfg_attr(not(unix), path = "embedded_elsewhere.rs")]
pub mod embedded;
pub mod sample;

mod call;
mod completion;
mod confirm;
mod diagram;
mod file;
mod handler;
pub mod http;
mod json;
mod limits;
pub mod listener;
mod metrics;
mod origin;
mod prompts;
mod reply;
mod resources;
pub mod stdio;
mod subscriber;
mod subscriptions;
mod tools;

pub use confirm::StateKey;
pub use handler::Handler;
pub use http::{McpService, ServiceOptions, service};
pub use limits::{CallerLimits, Limiter, Permit, RequestLimits};
pub use metrics::Metrics;

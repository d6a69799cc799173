//! PostgreSQL over the Model Context Protocol.
//!
//! An application that knows its callers serves an [`Engine`](mcp_pg_core::Engine) of `mcp-pg-core` with these:
//!
//! * [`service`] is the HTTP endpoint, a tower service to be nested in an axum router; its documentation has an example;
//! * [`auth`] authenticates HTTP requests: an [`Authenticator`](auth::Authenticator), API keys, JWTs;
//! * [`stdio::serve`] serves one caller on standard input and output.
//!
//! Everything else belongs to the program `mcp-pg-server`: its [command line](cli), [commands](command) and
//! [configuration](config), its [pages beside MCP](http), and the [temporary PostgreSQL](embedded) with
//! [sample databases](sample) of the demo.

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
mod slots;
pub mod stdio;
mod subscriber;
mod subscriptions;
mod tools;

pub use confirm::StateKey;
pub use http::{McpService, ServiceOptions, service};
pub use limits::{CallerLimits, Limiter, Permit, RequestLimits};
pub use metrics::Metrics;

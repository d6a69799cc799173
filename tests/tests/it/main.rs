//! Tests of the whole, a module a feature.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test needs is there"
)]

mod aggregate;
mod architecture;
mod catalogue;
mod cli;
mod describe;
mod filters;
mod include;
mod insert;
mod mcp_http;
mod mcp_stdio;
mod paging;
mod program;
mod real_databases;
mod schema;
mod transcript;
mod values;
mod views;
mod writes;

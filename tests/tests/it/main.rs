//! Tests of the whole, a module a feature.

mod aggregate;
mod architecture;
mod cli;
mod include;
mod mcp_http;
mod mcp_stdio;
mod program;
mod reads;
mod schema;
mod transcript;
mod writes;

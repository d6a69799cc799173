//! Tests of the whole, a module a feature.

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
mod schema;
mod transcript;
mod values;
mod views;
mod writes;

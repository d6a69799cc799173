//! Tests of the whole, a module a feature.

mod aggregate;
mod architecture;
mod archive;
mod audit;
mod bad_input;
mod catalogue;
mod cli;
mod concurrency;
mod delete;
mod describe;
mod filters;
mod include;
mod insert;
mod mcp_http;
mod mcp_stdio;
mod outage;
mod paging;
mod program;
mod schema;
mod transaction;
mod transcript;
mod update;
mod values;
mod views;

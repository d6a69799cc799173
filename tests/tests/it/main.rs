//! Tests of the whole, a module a feature.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "these are tests, their helpers too"
)]

mod aggregate;
mod architecture;
mod archive;
mod audit;
mod audit_table;
mod auth_api_key;
mod auth_embedded;
mod auth_entitlements;
mod auth_jwt;
mod auth_listen;
mod bad_input;
mod bulk;
mod catalogue;
mod cli;
mod concurrency;
mod delete;
mod describe;
mod directives;
mod distinct;
mod encryption;
mod example;
mod filters;
mod guide;
mod hostile;
mod include;
mod insert;
mod issuer;
mod limits;
mod live;
mod marks;
mod mcp_http;
mod mcp_stdio;
mod outage;
mod paging;
mod program;
mod property;
mod questions;
mod rank;
mod real_databases;
mod relations;
mod schema;
mod setup_sql;
mod sql_shapes;
mod subscribe;
mod tls;
mod transaction;
mod transcript;
mod update;
mod values;
mod views;

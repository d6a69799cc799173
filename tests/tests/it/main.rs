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
mod arithmetic;
mod attack;
mod audit;
mod audit_kill;
mod audit_table;
mod auth_api_key;
mod auth_embedded;
mod auth_entitlements;
mod auth_jwt;
mod auth_listen;
mod bad_input;
mod bulk;
mod canned;
mod canned_live;
mod canned_mcp;
mod canned_write;
mod catalogue;
mod cli;
mod combined;
mod concurrency;
mod confirm;
mod confirm_uncounted;
mod database_rights;
mod delete;
mod describe;
mod diagram;
mod directives;
mod distinct;
mod encryption;
mod example;
mod examples;
mod explain;
mod filters;
mod functions;
mod fuzz;
mod guide;
mod hops;
mod hostile;
mod incidents;
mod include;
mod inheritance;
mod insert;
mod issuer;
mod json_columns;
mod json_members;
mod languages;
mod limits;
mod live;
mod marks;
mod mcp_http;
mod mcp_stdio;
mod nothing_found;
mod outage;
mod paging;
mod program;
mod prompts;
mod property;
mod questions;
mod rank;
mod readme;
mod real_databases;
mod refusals;
mod related_counts;
mod relations;
mod reload;
mod row_rules;
mod schema;
mod security;
mod setup_sql;
mod slips;
mod slow_clients;
mod sql_shapes;
mod streams;
mod subscribe;
mod time_groups;
mod tls;
mod transaction;
mod transcript;
mod update;
mod upsert;
mod values;
mod versions;
mod view_keys;
mod views;
mod watched;
mod write_rights;

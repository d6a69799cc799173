//! The state of the server as gauges, for alerts.

use std::fmt::Write as _;

use mcp_pg_core::{Connections, Health};

/// Adds the state of the engine to a page, and whether the configuration in use is that of its files.
pub(super) fn render(page: &mut String, configured: bool, health: &Health) {
    let Connections { up, used, idle, waiting, most, .. } = health.connections;
    let mut add = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = write!(
            page,
            "# HELP mcp_pg_{name} {help}\n# TYPE mcp_pg_{name} {kind}\nmcp_pg_{name} {value}\n"
        );
    };
    let mut gauge = |name: &str, help: &str, value: u64| add(name, "gauge", help, value);
    gauge("database_up", "Whether a connection was available when last asked for.", up.into());
    let connections = [
        ("used", "Connections to the database in use.", used),
        ("idle", "Open connections to the database that are not in use.", idle),
        ("waiting", "Calls that wait for a connection to the database.", waiting),
        ("max", "The most connections to the database.", most),
    ];
    for (name, help, value) in connections {
        gauge(&format!("database_connections_{name}"), help, value as u64);
    }
    gauge(
        "configuration_last_reload_successful",
        "0 while the configuration is faulty or cannot be used, and the previous one stays in use.",
        configured.into(),
    );
    gauge(
        "schema_last_read_successful",
        "0 while the schema has changed and could not be read, and the previous one stays in use.",
        health.schema_read.into(),
    );
    gauge(
        "query_faults",
        "Faults of canned queries and of functions meant to be tools.",
        health.query_faults as u64,
    );
    gauge(
        "query_faults_outdated",
        "Faults of queries that are served in their last good form.",
        health.outdated_queries as u64,
    );
    gauge(
        "audit_failing",
        "1 while a sink of the audit cannot keep its records.",
        health.audit_failing.into(),
    );
    add(
        "audit_records_lost_total",
        "counter",
        "Audit records that no sink could keep.",
        health.lost_records,
    );
}

//! The audit table. The login inserts and reads records, but can neither change nor delete them.

use std::io::{self, Write};

use mcp_pg_core::Settings;
use mcp_pg_core::audit::AuditTable;

use super::login::{LOGIN, database_roles};

/// Prints the statements for these settings.
pub(super) fn print(settings: &Settings, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let Some(table) = &settings.audit.table else {
        return writeln!(
            out,
            "\n-- No audit table: with [audit] table = \"mcp_audit.log\" in the configuration, what makes it is here."
        );
    };
    writeln!(out, "\n-- The audit table, which must not be the login's own.")?;
    let roles: Vec<&str> = database_roles(settings).into_iter().collect();
    write!(out, "{}", AuditTable::new(table).definition_for(LOGIN, &roles))
}

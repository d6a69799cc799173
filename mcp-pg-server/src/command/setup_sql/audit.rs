//! The audit table. The login inserts and reads records, but can neither change nor delete them.

use std::io::{self, Write};

use mcp_pg_core::Settings;
use mcp_pg_core::audit::AuditTable;
use mcp_pg_core::name::quoted;

use super::login::{LOGIN, database_roles};
use super::quote::{block, literal};

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
    let (definition, schema) = (AuditTable::new(table), quoted(&table.schema));
    let named = |name: &str| literal(&format!("{schema}.{}", quoted(name)));
    let (index, table) = (named(definition.once()), named(&table.name));
    writeln!(out, "{}", set_aside(&index, &table))?;
    write!(out, "{}", definition.definition_for(LOGIN, &roles))
}

/// The statement that gives the index another name if it is that of a renamed table. Otherwise the new table would
/// have none.
fn set_aside(index: &str, table: &str) -> String {
    block(&format!(
        "
DECLARE
  taken pg_catalog.regclass := pg_catalog.to_regclass({index});
BEGIN
  IF EXISTS (
    SELECT FROM pg_catalog.pg_index
    WHERE indexrelid = taken AND indrelid IS DISTINCT FROM pg_catalog.to_regclass({table})
  ) THEN
    EXECUTE pg_catalog.format('ALTER INDEX %s RENAME TO confirmation_%s', taken, taken::oid);
  END IF;
END
"
    ))
}

//! Triggers that tell a running server at once what has changed.

use std::io::{self, Write};

use mcp_pg_core::name::quoted;
use mcp_pg_core::{ROWS_CHANNEL, SCHEMA_CHANNEL};

use super::quote::literal;

/// The schema of what is made for the triggers.
pub(super) const SCHEMA: &str = "mcp_pg";

/// The event trigger, and each trigger of `--notify`.
pub(super) const SCHEMA_TRIGGER: &str = "mcp_pg_schema";
pub(super) const ROWS_TRIGGER: &str = "mcp_pg_rows";

/// Their functions.
pub(super) const SCHEMA_CHANGED: &str = "schema_changed";
pub(super) const ROWS_CHANGED: &str = "rows_changed";

/// Prints the event trigger that tells of changes to the schema.
pub(super) fn print_schema(out: &mut (dyn Write + Send)) -> io::Result<()> {
    write!(
        out,
        "
-- Tells running servers of changes to the schema. Event triggers are a superuser's to make; without this one the
-- server looks for itself every few seconds.
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE OR REPLACE FUNCTION {SCHEMA}.{SCHEMA_CHANGED}() RETURNS event_trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $mcp_pg$
BEGIN
  -- Dropped objects are in no list; temporary ones are nobody else's.
  IF tg_tag LIKE 'DROP %' OR EXISTS (
    SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name IS DISTINCT FROM 'pg_temp'
  ) THEN
    PERFORM pg_notify({channel}, '');
  END IF;
END $mcp_pg$;
DO $mcp_pg$
BEGIN
  DROP EVENT TRIGGER IF EXISTS {SCHEMA_TRIGGER};
  CREATE EVENT TRIGGER {SCHEMA_TRIGGER} ON ddl_command_end EXECUTE FUNCTION {SCHEMA}.{SCHEMA_CHANGED}();
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'no event trigger: %', SQLERRM;
END $mcp_pg$;
",
        channel = literal(SCHEMA_CHANNEL),
    )
}

/// Prints triggers that tell when rows of these tables change: which table, and nothing else. A name that does not
/// begin with one of the served schemas, and may hold dots itself, is one of the first of these.
pub(super) fn print_rows(
    tables: &[String],
    schemas: &[String],
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "
-- Tells running servers that rows have changed, once for each statement: the table's name and no values.
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE OR REPLACE FUNCTION {SCHEMA}.{ROWS_CHANGED}() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog AS $mcp_pg$
BEGIN
  PERFORM pg_notify({channel}, json_build_array(tg_table_schema, tg_table_name)::text);
  RETURN NULL;
END $mcp_pg$;
",
        channel = literal(ROWS_CHANNEL),
    )?;
    for table in tables {
        let served = schemas.iter().map(String::as_str);
        let named = served
            .clone()
            .find_map(|schema| Some((schema, table.strip_prefix(schema)?.strip_prefix('.')?)));
        let first = served.clone().next().unwrap_or("public");
        let (schema, table) = named.unwrap_or((first, table));
        let table = format!("{}.{}", quoted(schema), quoted(table));
        write!(
            out,
            "DROP TRIGGER IF EXISTS {ROWS_TRIGGER} ON {table};
CREATE TRIGGER {ROWS_TRIGGER} AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.{ROWS_CHANGED}();
"
        )?;
    }
    Ok(())
}

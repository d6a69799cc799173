//! Triggers that notify a running server of changes.

use std::io::{self, Write};

use mcp_pg_core::{ROWS_CHANNEL, SCHEMA_CHANNEL};

use super::quote::{block, literal, literals};

/// The schema of the triggers' functions.
pub(super) const SCHEMA: &str = "mcp_pg";

/// The names of the event trigger and of the row triggers.
pub(super) const SCHEMA_TRIGGER: &str = "mcp_pg_schema";
pub(super) const ROWS_TRIGGER: &str = "mcp_pg_rows";

/// The names of their functions.
pub(super) const SCHEMA_CHANGED: &str = "schema_changed";
pub(super) const ROWS_CHANGED: &str = "rows_changed";

/// Prints the event trigger that notifies of changes to the schema.
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

/// Prints triggers that notify when rows of these tables change, with the table's name only. Names are looked up in
/// the configured schemas in order when the SQL is run. If one is not found, the script fails.
pub(super) fn print_rows(
    tables: &[String],
    schemas: &[String],
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let body = format!(
        "
DECLARE
  wanted text;
  target regclass;
  truncated text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY[{wanted}] LOOP
    -- Foreign tables have no triggers for TRUNCATE before PostgreSQL 16.
    SELECT c.oid, CASE c.relkind WHEN 'f' THEN '' ELSE ' OR TRUNCATE' END INTO target, truncated
    FROM unnest(ARRAY[{searched}]) WITH ORDINALITY s (name, place)
    JOIN pg_namespace n ON n.nspname = s.name
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'f')
    WHERE wanted IN (c.relname::text, s.name || '.' || c.relname)
    ORDER BY wanted = c.relname, s.place
    LIMIT 1;
    IF target IS NULL THEN
      RAISE EXCEPTION '--notify %: there is no such table in the configured schemas', wanted
      USING ERRCODE = 'undefined_table';
    END IF;
    EXECUTE format('DROP TRIGGER IF EXISTS {ROWS_TRIGGER} ON %s', target);
    EXECUTE format('CREATE TRIGGER {ROWS_TRIGGER} AFTER INSERT OR UPDATE OR DELETE%s ON %s '
      'FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.{ROWS_CHANGED}()', truncated, target);
  END LOOP;
END ",
        wanted = literals(tables),
        searched = literals(schemas),
    );
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
{triggers}
",
        channel = literal(ROWS_CHANNEL),
        triggers = block(&body),
    )
}

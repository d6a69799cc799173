//! Checks the owners of existing objects with the names of those that are created. An owner could change such an
//! object, and with it what superusers run.

use std::io::{self, Write};

use mcp_pg_core::Settings;

use super::quote::{block, literal};
use super::trigger::{ROWS_CHANGED, ROWS_TRIGGER, SCHEMA, SCHEMA_CHANGED, SCHEMA_TRIGGER};

/// Prints a check that stops the script if somebody else already owns such objects.
pub(super) fn print_before(settings: &Settings, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let what = "What is there already must belong to whoever runs this, or to a superuser.";
    print(settings, what, &[], out)
}

/// Prints a check that undoes the script if somebody else has created or replaced such objects meanwhile, while the
/// script waited for a lock.
pub(super) fn print_after(
    settings: &Settings,
    notifies: bool,
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    let what = "The same of what was made here, and all of it must be there.";
    let mut functions = vec![SCHEMA_CHANGED];
    if notifies {
        functions.push(ROWS_CHANGED);
    }
    print(settings, what, &functions, out)
}

/// Prints a check of owners, with `functions` also that everything exists. It is a single query, so that it sees one
/// moment.
fn print(
    settings: &Settings,
    what: &str,
    functions: &[&str],
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    let audit = settings.audit.table.as_ref();
    // A schema that contains the database's own tables may have any owner.
    let own = audit.filter(|table| !settings.schemas.contains(&table.schema));
    let schemas: Vec<String> =
        [SCHEMA].into_iter().chain(own.map(|table| table.schema.as_str())).map(literal).collect();
    let table = audit.map_or_else(
        || "false".to_owned(),
        |table| {
            let (schema, name) = (literal(&table.schema), literal(&table.name));
            format!("n.nspname = {schema} AND c.relname = {name}")
        },
    );
    let mut expected: Vec<String> =
        functions.iter().map(|name| format!("'function', {}", literal(name))).collect();
    if !functions.is_empty() {
        expected.extend(schemas.iter().map(|schema| format!("'schema', {schema}")));
        expected.extend(audit.map(|table| format!("'table', {}", literal(&table.name))));
    }
    let absent: String = expected
        .iter()
        .map(|object| format!("\n    UNION ALL SELECT {object}, NULL, NULL"))
        .collect();
    let body = format!(
        "
DECLARE faults text;
BEGIN
  WITH found (kind, name, shown, owner) AS (
    SELECT 'schema', nspname::text, format('%I', nspname), nspowner FROM pg_namespace WHERE nspname IN ({schemas})
    UNION ALL
    SELECT 'function', proname::text, p.oid::regprocedure::text, proowner FROM pg_proc p
      JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = {made}
    UNION ALL
    SELECT 'trigger function', proname::text, p.oid::regprocedure::text, proowner FROM pg_proc p
      WHERE p.oid IN (SELECT evtfoid FROM pg_event_trigger WHERE evtname = {event_trigger}
                      UNION SELECT tgfoid FROM pg_trigger WHERE tgname = {trigger})
    UNION ALL
    SELECT 'table', relname::text, c.oid::regclass::text, relowner FROM pg_class c
      JOIN pg_namespace n ON n.oid = relnamespace WHERE {table}
  ), expected (kind, name, shown, owner) AS (
    SELECT NULL, NULL, NULL, NULL WHERE false{absent}
  )
  SELECT string_agg(fault, '; ') INTO faults
  FROM (
    SELECT format('%s %s belongs to %I', kind, shown, rolname) FROM found JOIN pg_roles r ON r.oid = owner
    WHERE rolname <> current_user AND NOT rolsuper
    UNION ALL
    SELECT format('%s %I is not there', kind, name) FROM expected e
    WHERE NOT EXISTS (SELECT FROM found f WHERE f.kind = e.kind AND f.name = e.name)
  ) AS all_of_them (fault);
  IF faults IS NOT NULL THEN
    RAISE EXCEPTION 'refused: %', faults USING HINT = 'Drop it, or change its owner, after a look at what it does.';
  END IF;
END ",
        schemas = schemas.join(", "),
        made = literal(SCHEMA),
        event_trigger = literal(SCHEMA_TRIGGER),
        trigger = literal(ROWS_TRIGGER),
    );
    writeln!(out, "\n-- {what}\n{}", block(&body))
}

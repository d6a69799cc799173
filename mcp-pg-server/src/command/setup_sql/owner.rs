//! What is there already must not be somebody else's: who owns it could change it, and with it what superusers run.

use std::io::{self, Write};

use mcp_pg_core::Settings;

use super::quote::literal;

/// Prints a check that refuses all that follows.
pub(super) fn print(settings: &Settings, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let audit = settings.audit.table.as_ref();
    // A schema that the database's own tables are in may be anybody's.
    let own = audit.filter(|table| !settings.schemas.contains(&table.schema));
    let schemas: Vec<String> =
        ["mcp_pg"].into_iter().chain(own.map(|table| table.schema.as_str())).map(literal).collect();
    let table = audit.map_or_else(
        || "false".to_owned(),
        |table| {
            let (schema, name) = (literal(&table.schema), literal(&table.name));
            format!("n.nspname = {schema} AND c.relname = {name}")
        },
    );
    write!(
        out,
        "
-- What is there already must belong to whoever runs this, or to a superuser.
DO $mcp_pg$
DECLARE theirs text;
BEGIN
  SELECT string_agg(format('%s belongs to %I', what, rolname), '; ') INTO theirs
  FROM (
    SELECT format('schema %I', nspname), nspowner FROM pg_namespace WHERE nspname IN ({schemas})
    UNION ALL
    SELECT format('function %s', p.oid::regprocedure), proowner FROM pg_proc p
      JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = {functions}
    UNION ALL
    SELECT format('table %s', c.oid::regclass), relowner FROM pg_class c
      JOIN pg_namespace n ON n.oid = relnamespace WHERE {table}
  ) AS found (what, owner) JOIN pg_roles r ON r.oid = owner
  WHERE rolname <> current_user AND NOT rolsuper;
  IF theirs IS NOT NULL THEN
    RAISE EXCEPTION 'refused: %', theirs USING HINT = 'Drop it, or change its owner, after a look at what it does.';
  END IF;
END $mcp_pg$;
",
        schemas = schemas.join(", "),
        functions = literal("mcp_pg"),
    )
}

//! The schemas of extension types. PostgreSQL looks up their operators in the login's `search_path`, and silently
//! ignores schemas for which it has no USAGE.

use std::io::{self, Write};

use mcp_pg_core::policy::Settings;

use super::login::{LOGIN, name};
use super::quote::{block, literal, literals};

/// Prints the statements that let the `grantees` use the schemas of the column types in the configured schemas, and
/// that append these schemas to the login's `search_path`.
pub(super) fn print(
    settings: &Settings,
    grantees: &[&str],
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    let grantees: Vec<String> = grantees.iter().map(|grantee| name(grantee)).collect();
    let body = format!(
        "
DECLARE
  home text;
  searched text := coalesce((
    SELECT substr(setting, 13) FROM pg_catalog.pg_db_role_setting s
    JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
    CROSS JOIN LATERAL unnest(s.setconfig) setting
    WHERE s.setrole = 0 AND setting LIKE 'search\\_path=%'), '\"$user\", public');
  command text;
  found boolean := false;
BEGIN
  FOR home IN
    WITH RECURSIVE used (oid) AS (
      SELECT a.atttypid
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname IN ({})
      UNION
      SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END
      FROM used JOIN pg_catalog.pg_type t ON t.oid = used.oid
      WHERE t.typtype = 'd' OR t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc
    )
    SELECT DISTINCT quote_ident(n.nspname)
    FROM used
    JOIN pg_catalog.pg_type t ON t.oid = used.oid AND t.typtype = 'b'
     AND t.typoutput <> 'pg_catalog.array_out'::pg_catalog.regproc
    JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace AND n.nspname <> 'pg_catalog'
  LOOP
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s', home, {});
    found := true;
    IF home <> ALL (regexp_split_to_array(searched, '\\s*,\\s*')) THEN
      searched := searched || ', ' || home;
    END IF;
  END LOOP;
  IF found THEN
    -- It may be anybody's text, and becomes part of no statement.
    command := format('ALTER ROLE {LOGIN} IN DATABASE %I SET search_path FROM CURRENT', current_database());
    PERFORM pg_catalog.set_config('search_path', searched, true);
    EXECUTE command;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  END IF;
END ",
        literals(&settings.schemas),
        literal(&grantees.join(", ")),
    );
    writeln!(
        out,
        "-- Extensions whose types columns have: their operators are found.\n{}",
        block(&body)
    )
}

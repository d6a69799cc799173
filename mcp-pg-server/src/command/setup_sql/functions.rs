//! Functions that are tools: those whose roles they name, or whom they tell nothing new, may call them.

use mcp_pg_core::policy::{Action, Role, Settings};

use super::login::LOGIN;
use super::quote::{block, literal, literals};

/// The statement that lets a grantee call the functions which are tools of its roles when the SQL is run; `None` if there are none.
pub(super) fn grants(settings: &Settings, grantee: &str) -> Option<String> {
    let roles = settings
        .roles
        .iter()
        .filter(|role| role.database_role.as_deref().unwrap_or(LOGIN) == grantee);
    let roles: Vec<String> = roles.map(values).collect();
    if roles.is_empty() || settings.queries.functions.is_empty() {
        return None;
    }
    Some(block(&format!(
        "
DECLARE f regprocedure;
BEGIN
  FOR f IN SELECT DISTINCT p.oid FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_roles o ON o.oid = p.proowner
    JOIN pg_description d ON d.classoid = 'pg_proc'::regclass AND d.objoid = p.oid AND d.objsubid = 0
    JOIN (VALUES {roles}) r (name, reads, writes) ON CASE
      WHEN d.description ~ '@roles\\M' THEN r.name IN (
        SELECT btrim(called) FROM regexp_matches(d.description, '@roles\\s+([^\\n]*)', 'g') AS line (names)
        CROSS JOIN regexp_split_to_table(line.names[1], ',') called)
      ELSE r.reads AND (r.writes OR p.prokind = 'f' AND p.provolatile <> 'v') END
    WHERE n.nspname IN ({schemas}) AND p.prokind IN ('f', 'p')
      AND d.description ~ '(^|\\n)\\s*@tool\\M|\\s@tool\\s*(\\n|$)'
      AND (o.rolsuper OR o.rolname = ANY (ARRAY[{owners}]::text[]) OR p.proowner IN (n.nspowner,
        (SELECT datdba FROM pg_database WHERE datname = current_database())))
  LOOP EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', f, {grantee}); END LOOP;
END ",
        roles = roles.join(", "),
        schemas = literals(&settings.queries.functions),
        owners = literals(&settings.comments.owners),
        grantee = literal(grantee),
    )))
}

/// The role's name, and whether it has the functions that name no roles: those that read, and those that write.
fn values(role: &Role) -> String {
    let reads = role.is_unrestricted(Action::Select);
    let writes = role.is_unrestricted(Action::Insert) && role.is_unrestricted(Action::Update);
    format!("({}, {reads}, {writes})", literal(&role.name))
}

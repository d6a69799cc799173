//! The login: it can do what the roles need, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use mcp_pg_core::SETUP_COMMENT;
use mcp_pg_core::name::quoted;
use mcp_pg_core::policy::{Action, Settings};

use super::quote::{block, literal, literals};

/// The login's name.
pub(super) const LOGIN: &str = "mcp_pg";

/// Prints the statements for these settings.
pub(super) fn print(settings: &Settings, out: &mut (dyn Write + Send)) -> io::Result<()> {
    writeln!(
        out,
        "-- A login for mcp-pg-server. Run it in the database, as the owner of its tables,"
    )?;
    writeln!(out, "-- then set a password: \\password {LOGIN}")?;
    // It inherits nothing: what a database role may, only callers of a role that names it may.
    let bound = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS";
    print_role(LOGIN, &format!("LOGIN NOINHERIT {bound}"), out)?;
    for database_role in database_roles(settings) {
        let callers = settings
            .roles
            .iter()
            .filter(|role| role.database_role.as_deref() == Some(database_role));
        let callers: Vec<&str> = callers.map(|role| role.name.as_str()).collect();
        writeln!(
            out,
            "-- Callers with the role {} have the rights of this one.",
            callers.join(" or ")
        )?;
        print_role(database_role, &format!("NOLOGIN {bound}"), out)?;
        writeln!(out, "GRANT {} TO {LOGIN};", name(database_role))?;
    }
    let mut grantees: Vec<&str> = vec![LOGIN];
    grantees.extend(database_roles(settings));
    for schema in schemas(settings) {
        writeln!(out, "CREATE SCHEMA IF NOT EXISTS {};", quoted(schema))?;
    }
    super::search_path::print(settings, &grantees, out)?;
    let patterns = patterns(settings);
    for grantee in grantees {
        let rights = rights(settings, grantee, &patterns).join("\n");
        match grantee {
            LOGIN => writeln!(out, "{rights}")?,
            role => print_unless_decided(settings, role, &rights, out)?,
        }
    }
    Ok(())
}

/// The schemas of tables, and those of functions.
fn schemas(settings: &Settings) -> impl Iterator<Item = &String> {
    let functions = &settings.queries.functions;
    let functions = functions.iter().filter(|schema| !settings.schemas.contains(schema));
    settings.schemas.iter().chain(functions)
}

/// What each grantee needs on the tables of each pattern.
type Patterns<'s> = BTreeMap<(&'s str, &'s str), Privileges>;

fn patterns(settings: &Settings) -> Patterns<'_> {
    let mut patterns = Patterns::new();
    for role in &settings.roles {
        let grantee = role.database_role.as_deref().unwrap_or(LOGIN);
        for grant in &role.grants {
            for pattern in &grant.tables {
                let privileges = patterns.entry((grantee, pattern)).or_default();
                for action in grant.actions.iter() {
                    privileges.add(action, settings.archive.allow_hard_delete);
                }
            }
        }
    }
    patterns
}

/// The statements that give a grantee its rights on the tables.
fn rights(settings: &Settings, grantee: &str, patterns: &Patterns<'_>) -> Vec<String> {
    let usage = schemas(settings)
        .map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {};", quoted(schema), name(grantee)));
    let mut rights = Vec::from_iter(usage);
    let own = || patterns.iter().filter(|((role, _), _)| *role == grantee);
    for ((_, pattern), privileges) in own() {
        rights.extend(grants(settings, grantee, pattern, *privileges));
    }
    if own().any(|(_, privileges)| privileges.insert) {
        rights.extend(on_sequences(settings, grantee));
    }
    rights.extend(super::functions::grants(settings, grantee));
    rights
}

/// Prints the grants so that they have no effect if the role has rights on tables already that were not granted by this SQL: the
/// configuration can only take from those.
fn print_unless_decided(
    settings: &Settings,
    role: &str,
    rights: &str,
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    let body = format!(
        " BEGIN
  IF EXISTS (
    SELECT FROM pg_roles r
    JOIN pg_roles m ON pg_has_role(r.oid, m.oid, 'USAGE')
    LEFT JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = m.oid AND d.deptype IN ('a', 'o')
     AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
    LEFT JOIN pg_default_acl a ON d.classid = 'pg_default_acl'::regclass AND a.oid = d.objid
    LEFT JOIN pg_namespace n ON n.oid IN (c.relnamespace, a.defaclnamespace) OR a.defaclnamespace = 0
    WHERE (n.nspname IN ({schemas}) OR m.rolname IN ('pg_read_all_data', 'pg_write_all_data'))
      AND r.rolname = {role} AND shobj_description(r.oid, 'pg_authid') IS DISTINCT FROM {made}
  ) THEN
    RAISE NOTICE 'role % keeps the rights that it has on tables here, and is granted no others. Grant it yourself what it needs; check reports what is missing', {role};
    RETURN;
  END IF;
{rights}
END ",
        schemas = literals(&settings.schemas),
        role = literal(role),
        made = literal(SETUP_COMMENT),
    );
    writeln!(
        out,
        "-- Only where the role was created by this SQL, or has no rights on tables here yet: what the configuration is given
-- later is not granted to a role that was created by other means.
{}",
        block(&body)
    )
}

/// Default values of key columns come from sequences, also from those of other schemas; identity columns need no grant.
fn on_sequences(settings: &Settings, grantee: &str) -> Vec<String> {
    let mut rights = vec![block(&format!(
        "
DECLARE s regclass;
BEGIN
  FOR s IN SELECT DISTINCT d.refobjid FROM pg_attrdef a JOIN pg_class t ON t.oid = a.adrelid
    JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S'
    WHERE t.relnamespace::regnamespace::text IN (SELECT quote_ident(n) FROM unnest(ARRAY[{}]) n)
      AND t.relnamespace <> s.relnamespace
  LOOP EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', s, {}); END LOOP;
END ",
        literals(&settings.schemas),
        literal(grantee),
    ))];
    for schema in &settings.schemas {
        let (schema, grantee) = (quoted(schema), name(grantee));
        rights.push(format!("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {grantee};"));
        rights.push(format!(
            "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {grantee};"
        ));
    }
    rights
}

/// The roles that the login can become, each once.
pub(super) fn database_roles(settings: &Settings) -> BTreeSet<&str> {
    let roles = settings.roles.iter().filter_map(|role| role.database_role.as_deref());
    roles.filter(|role| *role != LOGIN).collect()
}

/// A role's name as SQL takes it.
pub(super) fn name(role: &str) -> String {
    if role == LOGIN { role.to_owned() } else { quoted(role) }
}

/// Makes a role, unless it is there.
fn print_role(role: &str, attributes: &str, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let body = format!(
        " BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN
    CREATE ROLE {name} {attributes};
    COMMENT ON ROLE {name} IS {made};
  END IF;
END ",
        literal(role),
        name = name(role),
        made = literal(SETUP_COMMENT),
    );
    writeln!(out, "{}", block(&body))
}

/// The statements that grant privileges on the tables of a pattern.
fn grants(
    settings: &Settings,
    grantee: &str,
    pattern: &str,
    privileges: Privileges,
) -> Vec<String> {
    let list = privileges.list();
    let to = name(grantee);
    let mut grants = Vec::new();
    for schema in &settings.schemas {
        if pattern == "*" || pattern.strip_suffix(".*") == Some(schema) {
            let schema = quoted(schema);
            grants.push(format!("GRANT {list} ON ALL TABLES IN SCHEMA {schema} TO {to};"));
            grants.push(format!(
                "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {list} ON TABLES TO {to};"
            ));
        }
    }
    if grants.is_empty() {
        grants.push(block(&format!(
            "
DECLARE t regclass;
BEGIN
  FOR t IN SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname IN ({})
      AND n.nspname || '.' || c.relname LIKE {}
  LOOP EXECUTE format('GRANT {list} ON %s TO %I', t, {}); END LOOP;
END ",
            literals(&settings.schemas),
            literal(&like(pattern)),
            literal(grantee),
        )));
    }
    grants
}

/// What PostgreSQL must allow; reading always, since conditions and returned rows read.
#[derive(Clone, Copy, Default)]
struct Privileges {
    insert: bool,
    update: bool,
    delete: bool,
}

impl Privileges {
    fn add(&mut self, action: Action, hard_delete: bool) {
        match action {
            Action::Select => {}
            Action::Insert => self.insert = true,
            Action::Update | Action::Archive | Action::Restore => self.update = true,
            Action::Delete => self.delete |= hard_delete,
        }
    }

    fn list(self) -> String {
        let mut list = String::from("SELECT");
        for (needed, name) in
            [(self.insert, ", INSERT"), (self.update, ", UPDATE"), (self.delete, ", DELETE")]
        {
            if needed {
                list.push_str(name);
            }
        }
        list
    }
}

/// The pattern in LIKE's language.
fn like(pattern: &str) -> String {
    let mut like = String::new();
    for c in pattern.chars() {
        match c {
            '*' => like.push('%'),
            '%' | '_' | '\\' => like.extend(['\\', c]),
            _ => like.push(c),
        }
    }
    like
}

#[cfg(test)]
mod tests {
    use mcp_pg_core::policy::{Grant, Role};

    use super::*;

    fn sql(settings: &Settings) -> String {
        let mut out = Vec::new();
        print(settings, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_built_in_roles_need_no_delete_unless_it_is_allowed() {
        let mut settings = Settings::default();
        assert!(sql(&settings).contains(
            "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA \"public\" TO mcp_pg;"
        ));
        settings.archive.allow_hard_delete = true;
        assert!(sql(&settings).contains("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES"));
    }

    #[test]
    fn a_pattern_is_matched_and_a_database_role_is_granted() {
        let reader = Role {
            name: "reader".into(),
            grants: vec![Grant {
                tables: vec!["sales.order_*".into()],
                actions: [Action::Select].into_iter().collect(),
                ..Grant::default()
            }],
            ..Role::default()
        };
        let support = Role {
            name: "support".into(),
            database_role: Some("app \"support\"".into()),
            ..Role::default()
        };
        let settings = Settings {
            schemas: vec!["sales".into()],
            roles: vec![reader, support],
            ..Settings::default()
        };
        let sql = sql(&settings);
        assert!(sql.contains(r"LIKE E'sales.order\\_%'"), "{sql}");
        assert!(sql.contains("'GRANT SELECT ON %s TO %I', t, E'mcp_pg'"), "{sql}");
        assert!(sql.contains(r#"GRANT "app ""support""" TO mcp_pg;"#), "{sql}");
        assert!(!sql.contains("ALL TABLES"), "{sql}");
    }
}

//! Findings about the login: printed by `check`, logged at the start, and refused if the network can reach the
//! server.

use std::sync::Arc;

use mcp_pg_core::policy::Role;
use mcp_pg_core::schema::Schema;
use mcp_pg_core::{Code, Engine, Error, Posture, Principal};

use super::check::counted;

/// The most names in a finding.
const NAMED_MOST: usize = 5;

/// Rights of the login that would let a fault of the server or its configuration bypass row-level security and
/// grants.
pub(super) fn dangers(posture: &Posture) -> Vec<String> {
    let login = &posture.login;
    let mut findings = Vec::new();
    if posture.superuser {
        findings.push(format!(
            "{login} is a superuser: no grant and no row-level security binds it. Connect as a login made \
             with CREATE ROLE … LOGIN NOSUPERUSER that was granted only what is needed"
        ));
    } else if posture.bypass_rls {
        findings.push(format!(
            "{login} has BYPASSRLS: row-level security does not bind it. Run ALTER ROLE {login} NOBYPASSRLS"
        ));
    }
    for role in &posture.powerful_roles {
        findings.push(format!(
            "callers may become {role}, a role that is a superuser or has BYPASSRLS: row-level security does \
             not bind them. Name another database_role"
        ));
    }
    if !posture.needless_roles.is_empty() {
        findings.push(format!(
            "{login} may SET ROLE to {}, which no configured role names as its database_role. Run REVOKE … \
             FROM {login}",
            some_of(&posture.needless_roles)
        ));
    }
    if !posture.unforced_tables.is_empty() {
        findings.push(format!(
            "{login} escapes the row-level security of {}, as their owner. Run ALTER TABLE … FORCE ROW LEVEL \
             SECURITY, or connect as another login",
            some_of(&posture.unforced_tables)
        ));
    }
    findings
}

/// The dangers, and other rights that a login does not need.
pub(super) fn findings(posture: &Posture) -> Vec<String> {
    let login = &posture.login;
    let mut findings = dangers(posture);
    if let Some(schema) = &posture.searched_first {
        findings.push(format!(
            "{schema} is searched ahead of pg_catalog: its operators and functions shadow PostgreSQL's own. Run ALTER \
             ROLE {login} SET search_path without pg_catalog, which then comes first"
        ));
    }
    if posture.creates && !posture.superuser {
        findings.push(format!(
            "{login} may create roles or databases. Run ALTER ROLE {login} NOCREATEROLE NOCREATEDB"
        ));
    }
    if !posture.owned_tables.is_empty() {
        findings.push(format!(
            "{login} owns {}: an owner can change and drop a table. Connect as a login that owns nothing",
            some_of(&posture.owned_tables)
        ));
    }
    findings.extend(posture.unreached_types.iter().map(|unreached| {
        let (name, schema, column) = (&unreached.name, &unreached.schema, &unreached.column);
        format!(
            "the operators of {name} ({column}) are out of reach: conditions compare otherwise than the type does, or \
             not at all. Run GRANT USAGE ON SCHEMA {schema} TO {login} and every database_role, and ALTER ROLE {login} \
             SET search_path = \"$user\", public, {schema}"
        )
    }));
    findings
}

/// Configured schemas without tables, and tables that are not served.
pub(super) fn unserved(posture: &Posture) -> Vec<String> {
    let names = posture.unusable_schemas.iter();
    let absent = names.map(|name| {
        format!("the schema {name:?} does not exist, or {} may use nothing in it", posture.login)
    });
    let shared = posture.shared_names.iter().map(|names| {
        format!(
            "{names} have the same name in grants, requests and the audit, so neither is served: rename one, or leave its \
             schema out of database.schemas"
        )
    });
    absent.chain(shared).collect()
}

/// The schema as the database role of each role sees it, which may be more than the login sees by itself.
pub(super) fn seen(engine: &Engine) -> Vec<Arc<Schema>> {
    let mut seen: Vec<Arc<Schema>> = Vec::new();
    for role in &engine.settings().roles {
        let schema = engine.schema_of(role);
        if !seen.iter().any(|known| Arc::ptr_eq(known, &schema)) {
            seen.push(schema);
        }
    }
    seen
}

/// Warns if there are no tables, for the login or any role's database role.
pub(super) fn warn_if_empty(engine: &Engine) {
    let sees_some = |role: &Role| {
        let view = engine.view(&Principal::new("", &role.name));
        view.is_ok_and(|view| !view.tables().is_empty())
    };
    if engine.schema().tables.is_empty() && !engine.settings().roles.iter().any(sees_some) {
        tracing::warn!("there are no tables that the login may use in the schemas that are served");
    }
}

/// Logs consequences of the settings that may not be intended: version columns that were found by default, a database
/// that takes no writes, and grants that match no table.
pub(super) fn tell_settings(engine: &Engine) {
    let settings = engine.settings();
    if let Some(counted) = counted(&settings, &seen(engine)) {
        tracing::warn!("{counted}");
    }
    if let Some(read_only) = engine.schema().read_only {
        tracing::warn!("no writes are offered: {read_only}");
    }
    for role in settings.roles.iter().filter(|role| engine.refused_role(&role.name).is_none()) {
        let schema = engine.schema_of(role);
        for (position, grant) in role.grants.iter().enumerate() {
            if !schema.tables.iter().any(|table| grant.matches(&table.name)) {
                let (name, tables) = (&role.name, grant.tables.join(", "));
                tracing::warn!("roles.{name}.grants[{position}]: {tables} matches no table");
            }
        }
    }
}

/// Logs warnings about the dangers, about what is not served, and about a schema without tables. Runs in the
/// background.
pub(super) async fn warn(engine: &Engine) {
    warn_if_empty(engine);
    match engine.posture().await {
        Ok(posture) => {
            tell(&dangers(&posture));
            tell(&unserved(&posture));
        }
        Err(error) => tracing::warn!(%error, "what the login may do could not be read"),
    }
}

/// Refuses dangers that are not in `known`. Without a list, they are only logged.
pub(super) fn accept(posture: &Posture, known: Option<&[String]>) -> Result<(), Error> {
    let dangers = dangers(posture);
    tell(&dangers);
    tell(&unserved(posture));
    let Some(known) = known else { return Ok(()) };
    let new: Vec<String> = dangers.into_iter().filter(|danger| !known.contains(danger)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let message = format!("not for a server that listens beyond loopback: {}", new.join("; "));
    Err(Error::new(Code::Forbidden, message))
}

fn tell(faults: &[String]) {
    for fault in faults {
        tracing::warn!("{fault}");
    }
}

/// The first of the names, and the number of others.
pub(super) fn some_of(names: &[String]) -> String {
    let (first, rest) = names.split_at(names.len().min(NAMED_MOST));
    match rest.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

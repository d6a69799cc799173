//! `check`: what the login could do beyond its task, and what in the configuration fits nothing.

use std::io::Write;

use mcp_pg_core::policy::{Role, Settings};
use mcp_pg_core::schema::{Schema, Table};
use mcp_pg_core::{Posture, name::nearest};

use super::session::Session;
use super::{Exit, Failure};
use crate::cli::Common;
use crate::config::{Config, Environment};

/// Most owned tables that are named.
const OWNED_MOST: usize = 5;

/// Prints what is found; [`Exit::Finding`] if anything.
pub(super) async fn check(
    common: &Common,
    config: Config,
    environment: &Environment,
    out: &mut (dyn Write + Send),
) -> Result<Exit, Failure> {
    let settings = config.settings.clone();
    let session = Session::open(common, config, environment).await?;
    let posture = session.engine.posture().await?;
    writeln!(
        out,
        "login {} on PostgreSQL {}, {}",
        posture.login,
        posture.server_version,
        if posture.tls { "encrypted" } else { "not encrypted" }
    )?;
    let mut findings = of_login(&posture);
    findings.extend(of_configuration(&settings, &session.engine.schema(), &posture));
    for finding in &findings {
        writeln!(out, "finding: {finding}")?;
    }
    session.close().await?;
    if findings.is_empty() {
        writeln!(out, "no findings")?;
        Ok(Exit::Done)
    } else {
        Ok(Exit::Finding)
    }
}

/// What would let a fault of this server, or of its configuration, reach further than its grants.
fn of_login(posture: &Posture) -> Vec<String> {
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
    if !posture.owned_tables.is_empty() {
        let mut names: Vec<&str> =
            posture.owned_tables.iter().take(OWNED_MOST).map(String::as_str).collect();
        let more = format!("{} more", posture.owned_tables.len().saturating_sub(OWNED_MOST));
        if posture.owned_tables.len() > OWNED_MOST {
            names.push(&more);
        }
        findings.push(format!(
            "{login} owns {}: an owner can change and drop a table, and escapes its row-level security \
             unless that is forced. Connect as a login that owns nothing",
            names.join(", ")
        ));
    }
    findings
}

/// What the configuration says of tables, columns and roles that are not there.
fn of_configuration(settings: &Settings, schema: &Schema, posture: &Posture) -> Vec<String> {
    let mut findings = Vec::new();
    for name in &settings.schemas {
        if !schema.tables.iter().any(|table| &table.name.schema == name) {
            findings.push(format!(
                "the schema {name:?} does not exist, or {} may use nothing in it",
                posture.login
            ));
        }
    }
    if schema.tables.is_empty() {
        return findings;
    }
    for role in &settings.roles {
        of_role(role, schema, posture, &mut findings);
    }
    findings
}

fn of_role(role: &Role, schema: &Schema, posture: &Posture, findings: &mut Vec<String>) {
    let name = &role.name;
    if let Some(database_role) = &role.database_role
        && !posture.superuser
        && !posture.can_set_role.contains(database_role)
    {
        findings.push(format!(
            "roles.{name}.database_role: {} cannot SET ROLE {database_role}. Run GRANT {database_role} TO {}",
            posture.login, posture.login
        ));
    }
    for (position, grant) in role.grants.iter().enumerate() {
        let place = format!("roles.{name}.grants[{position}]");
        let tables: Vec<&Table> =
            schema.tables.iter().filter(|table| grant.covers(&table.name)).collect();
        if tables.is_empty() {
            findings.push(format!("{place}: {} matches no table", grant.tables.join(", ")));
            continue;
        }
        let rules = &grant.columns;
        let columns = (rules.include.iter().flatten().map(|column| ("columns.include", column)))
            .chain(rules.exclude.iter().map(|column| ("columns.exclude", column)))
            .chain(rules.writable.iter().flatten().map(|column| ("columns.writable", column)))
            .chain(rules.mask.keys().map(|column| ("columns.mask", column)))
            .chain(grant.preset.keys().map(|column| ("preset", column)));
        for (key, column) in columns {
            if tables.iter().any(|table| table.column(column).is_some()) {
                continue;
            }
            let known = tables.iter().flat_map(|table| &table.columns).map(|c| c.name.as_str());
            let hint = nearest(column, known)
                .map(|near| format!("; did you mean {near}?"))
                .unwrap_or_default();
            findings.push(format!("{place}.{key}: no such table has a column {column:?}{hint}"));
        }
    }
}

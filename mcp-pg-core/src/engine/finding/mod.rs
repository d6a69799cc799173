//! Findings: settings that do not fit the database.

mod action;
mod column;
mod grant;
mod row;
mod setting;

use std::collections::BTreeSet;

use super::Engine;
use crate::policy::{Role, Settings};
use crate::schema::Schema;

impl Engine {
    /// Settings that do not fit the database or have no effect: tables, columns, relations and roles that do not exist, database
    /// roles that the login cannot become, row
    /// conditions and presets that do not fit, actions that no call can do. Each finding is a sentence that begins with the key in
    /// the configuration file, such as `roles.support.grants[0].rows`.
    ///
    /// What does not fit is not offered to callers. It is not an error of [`Engine::connect`], since the schema may change while the
    /// server runs. For missing schemas see [`Engine::posture`], for canned queries [`Engine::faults`], for session settings
    /// [`Engine::refused_settings`] and [`Engine::refused_queries`].
    ///
    /// ```no_run
    /// use mcp_pg_core::policy::{Action, Grant, Role};
    /// use mcp_pg_core::{Engine, Settings};
    ///
    /// # async fn example() -> mcp_pg_core::Result<()> {
    /// let grant = Grant { tables: vec!["ordres".into()], actions: [Action::Select].into_iter().collect(), ..Grant::default() };
    /// let clerk = Role { name: "clerk".into(), grants: vec![grant], ..Role::default() };
    /// let settings = Settings { roles: vec![clerk], default_role: "clerk".into(), ..Settings::default() };
    /// let engine = Engine::connect("postgres://app@localhost/shop".parse().expect("a valid URL"), settings).await?;
    /// for finding in engine.findings() {
    ///     eprintln!("{finding}"); // roles.clerk.grants[0]: public.ordres matches no table
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn findings(&self) -> Vec<String> {
        let catalogue = self.catalogue.load_full();
        let settings = &catalogue.settings;
        let mut findings = setting::of_settings(settings);
        for role in &settings.roles {
            findings.extend(catalogue.unassumed(role));
            findings.extend(of_role(role, settings, &catalogue.schema_of(role)));
        }
        findings.extend(of_columns(settings, &catalogue.schemas()));
        findings
    }
}

/// The findings on a role, in the schema as its database role sees it.
fn of_role(role: &Role, settings: &Settings, schema: &Schema) -> Vec<String> {
    if schema.tables.is_empty() {
        return vec![];
    }
    let mut findings = grant::of_names(role, schema);
    findings.extend(role.too_late(schema));
    findings.extend(grant::written_in_vain(role, settings, schema));
    findings.extend(grant::decrypted_in_vain(role, settings, schema));
    if !is_built_in(role) {
        findings.extend(action::in_vain(role, settings, schema));
    }
    findings.extend(row::of_rows(role, settings, schema));
    findings.extend(row::of_versions(role, settings, schema));
    findings
}

/// The findings on settings for all roles: names that no role's schema contains.
fn of_columns(settings: &Settings, schemas: &[&Schema]) -> Vec<String> {
    let illegible: BTreeSet<_> = schemas.iter().flat_map(|schema| &schema.illegible).collect();
    let illegible = illegible.into_iter().map(|name| {
        format!("{name}: not served, because its name, or that of its type, is not valid in the database's encoding")
    });
    let mut findings: Vec<String> = illegible.collect();
    if schemas.iter().all(|schema| schema.tables.is_empty()) {
        return findings;
    }
    findings.extend(action::of_archive(settings, schemas));
    findings.extend(column::of_columns(settings, schemas));
    findings
}

/// Whether it is a built-in role, which is not configured and fits any table.
fn is_built_in(role: &Role) -> bool {
    Role::built_in().iter().any(|known| known.name == role.name && known.grants == role.grants)
}

//! `[roles.NAME]`: resolves its keys, and refuses contradictory combinations.

use std::collections::BTreeMap;

use mcp_pg_core::Settings;
use mcp_pg_core::name::nearest;
use mcp_pg_core::policy::{Action, Actions, ColumnRules, Grant, Role, RoleLimits, Setting};

use super::faults::Faults;
use super::raw::{GrantKeys, RoleKeys};
use super::{ConfigError, claim, limits};

/// Applies the keys. `confirm` are the actions that all roles have to confirm. If roles are configured, a built-in
/// role exists only if `named` (API keys) or `default_role` names it.
pub(super) fn apply(
    settings: &mut Settings,
    roles: BTreeMap<String, RoleKeys>,
    (default_role, named): (Option<String>, &[&str]),
    confirm: Vec<Action>,
    faults: &mut Faults,
) {
    if !roles.is_empty() {
        let asked_for = |name: &str| named.contains(&name) || default_role.as_deref() == Some(name);
        let mut built_in = Role::built_in();
        built_in.retain(|role| asked_for(&role.name) && !roles.contains_key(&role.name));
        settings.roles = roles.into_iter().map(|(name, keys)| role(name, keys, faults)).collect();
        settings.roles.append(&mut built_in);
        settings.default_role.clear();
    }
    let confirm = faults.note(asked("confirm", confirm)).unwrap_or_default();
    for role in &mut settings.roles {
        role.confirm = role.confirm.union(confirm);
    }
    if let Some(default_role) = default_role {
        let known = known_role(settings, &default_role);
        faults.note(known.map_err(|error| ConfigError::new(format!("default_role: {error}"))));
        settings.default_role = default_role;
    }
}

/// Refuses a role that does not exist.
pub(crate) fn known_role(settings: &Settings, name: &str) -> Result<(), ConfigError> {
    let names: Vec<&str> = settings.roles.iter().map(|role| role.name.as_str()).collect();
    if names.contains(&name) {
        return Ok(());
    }
    Err(ConfigError::new(match nearest(name, names.iter().copied()) {
        Some(near) => format!("there is no role {name:?}; did you mean {near}?"),
        None => format!("there is no role {name:?}; there are {}", names.join(", ")),
    }))
}

/// The granted writes that need to read rows, in a role that cannot read.
fn unread(role: &Role) -> Option<String> {
    if role.grants.iter().any(|grant| grant.actions.contains(Action::Select)) {
        return None;
    }
    role.grants.iter().enumerate().find_map(|(position, grant)| {
        let action = grant.actions.iter().find(|action| *action != Action::Insert)?;
        let name = &role.name;
        Some(format!(
            "roles.{name}.grants[{position}].actions: {action} needs select, which no grant of the role gives"
        ))
    })
}

fn role(name: String, keys: RoleKeys, faults: &mut Faults) -> Role {
    let before = faults.count();
    let mut session = BTreeMap::new();
    for (setting, value) in keys.session.unwrap_or_default() {
        if let Some(reason) = reserved(&setting) {
            faults.add(ConfigError::new(format!("roles.{name}.session.{setting}: {reason}")));
        }
        faults.note(
            claim::check(&value).map_err(|error| {
                ConfigError::new(format!("roles.{name}.session.{setting}: {error}"))
            }),
        );
        let value = match value.strip_prefix("claim:") {
            Some(claim) => Setting::Claim(claim.to_owned()),
            None => Setting::Fixed(value),
        };
        session.insert(setting, value);
    }
    // PostgreSQL takes "none" for the login.
    if let Some(no_role @ ("" | "none")) = keys.database_role.as_deref() {
        faults.add(ConfigError::new(format!(
            "roles.{name}.database_role: {no_role:?} is no role; leave the key out to use the login's rights"
        )));
    }
    let grants = keys
        .grants
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .filter_map(|(position, keys)| {
            faults.note(grant(keys).map_err(|error| {
                ConfigError::new(format!("roles.{name}.grants[{position}]: {error}"))
            }))
        })
        .collect();
    let limits = match &keys.limits {
        Some(keys) => limits::of_role(&name, keys, faults).0,
        None => RoleLimits::default(),
    };
    let confirm = asked("confirm", keys.confirm.unwrap_or_default())
        .map_err(|error| ConfigError::new(format!("roles.{name}.{error}")));
    let confirm = faults.note(confirm).unwrap_or_default();
    let role = Role {
        name,
        limits,
        confirm,
        database_role: keys.database_role,
        session,
        confirm_after_untrusted: keys.confirm_after_untrusted.unwrap_or_default(),
        grants,
        analyze: keys.analyze.unwrap_or_default(),
    };
    // A grant at fault may be the one that reads.
    if let Some(fault) = unread(&role).filter(|_| faults.count() == before) {
        faults.add(ConfigError::new(fault));
    }
    role
}

/// Why a session setting is reserved, if it is.
fn reserved(setting: &str) -> Option<&'static str> {
    Some(match setting.to_ascii_lowercase().as_str() {
        "datestyle" | "intervalstyle" | "timezone" | "bytea_output" | "extra_float_digits"
        | "lc_monetary" | "client_encoding" | "xmloption" => {
            "it changes how values are written, and replies have one form for all"
        }
        "array_nulls" => "it changes what arrays hold, and null is null for all",
        "row_security" => "off, it makes an error of each read of a table with policies",
        "role" | "session_authorization" => "write database_role",
        "transaction_read_only"
        | "transaction_isolation"
        | "transaction_deferrable"
        | "default_transaction_read_only" => "each call says itself what its transaction may do",
        _ => return None,
    })
}

/// The actions that need confirmation. Reads cannot.
fn asked(key: &str, actions: Vec<Action>) -> Result<Actions, ConfigError> {
    let actions: Actions = actions.into_iter().collect();
    match actions.contains(Action::Select) {
        true => Err(ConfigError::new(format!("{key}: only writes can be confirmed, not select"))),
        false => Ok(actions),
    }
}

fn grant(keys: GrantKeys) -> Result<Grant, ConfigError> {
    let tables = keys.tables.unwrap_or_default();
    if tables.is_empty() {
        return Err(ConfigError::new("tables must name at least one table or pattern"));
    }
    let actions = keys.actions.unwrap_or_default();
    if actions.is_empty() {
        return Err(ConfigError::new("actions must name at least one action"));
    }
    let columns = keys.columns.unwrap_or_default();
    let columns = ColumnRules {
        include: columns.include,
        exclude: columns.exclude.unwrap_or_default(),
        writable: columns.writable,
        mask: columns.mask.unwrap_or_default(),
        decrypt: columns.decrypt.unwrap_or_default(),
    };
    let preset = keys.preset.unwrap_or_default();
    let contradiction = |column: &String, both: &str| {
        Err(ConfigError::new(format!("column {column:?} is both {both}")))
    };
    for column in &columns.exclude {
        if columns.include.as_ref().is_some_and(|include| include.contains(column)) {
            return contradiction(column, "included and excluded");
        }
        if columns.mask.contains_key(column) {
            return contradiction(column, "masked and excluded");
        }
    }
    for column in columns.writable.iter().flatten() {
        if preset.contains_key(column) {
            return contradiction(column, "preset and writable");
        }
        if columns.exclude.contains(column) {
            return contradiction(column, "writable and excluded");
        }
    }
    for (key, value) in &preset {
        claim::check_within(value)
            .map_err(|error| ConfigError::new(format!("preset.{key}: {error}")))?;
    }
    for (key, value) in keys.rows.iter().flatten() {
        claim::check_within(value)
            .map_err(|error| ConfigError::new(format!("rows.{key}: {error}")))?;
    }
    let actions: Actions = actions.into_iter().collect();
    let confirm = asked("confirm", keys.confirm.unwrap_or_default())?;
    if let Some(action) = confirm.iter().find(|action| !actions.contains(*action)) {
        return Err(ConfigError::new(format!("confirm: {action} is not among the actions")));
    }
    Ok(Grant { tables, actions, confirm, columns, rows: keys.rows, preset })
}

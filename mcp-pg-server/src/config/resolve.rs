//! From keys to settings: defaults, and combinations that make no sense.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;

use mcp_pg_core::Settings;
use mcp_pg_core::name::nearest;
use mcp_pg_core::policy::{AuditValues, ColumnMarks, ColumnRules, Grant, Role, Setting};

use super::raw::{DatabaseKeys, File, GrantKeys, LimitKeys, MarkKeys, RoleKeys, Values, Wait};
use super::{Config, ConfigError, auth};

/// Applies the keys to the defaults; relative files lie in `directory`.
pub(super) fn resolve(file: File, directory: &Path) -> Result<Config, ConfigError> {
    let audit = file.audit.unwrap_or_default();
    let server = file.server.unwrap_or_default();
    for (present, key) in
        [(file.queries.is_some(), "[queries]"), (audit.table.is_some(), "audit.table")]
    {
        if present {
            return Err(ConfigError::new(format!("not supported yet: {key}")));
        }
    }

    let mut settings = Settings::default();
    let mut database = file.database.unwrap_or_default();
    let database_url = database.url.take();
    let allow_unsafe_login = database.allow_unsafe_login.unwrap_or(false);
    apply_database(&mut settings, database)?;
    let requests_per_minute = apply_limits(&mut settings, file.limits.unwrap_or_default())?;
    let archive = file.archive.unwrap_or_default();
    put(&mut settings.archive.column, archive.column);
    put(&mut settings.archive.allow_hard_delete, archive.allow_hard_delete);
    let concurrency = file.concurrency.unwrap_or_default();
    put(&mut settings.concurrency.version_column, concurrency.version_column);
    put(&mut settings.concurrency.retries, concurrency.retries);
    put(&mut settings.comments.owners, file.comments.unwrap_or_default().owners);
    settings.columns = marks(file.columns.unwrap_or_default())?;
    put(&mut settings.audit.images, audit.images);
    put(
        &mut settings.audit.values,
        audit.values.map(|values| match values {
            Values::Redacted => AuditValues::Redacted,
            Values::Full => AuditValues::Full,
            Values::None => AuditValues::None,
        }),
    );
    apply_roles(&mut settings, file.roles.unwrap_or_default(), file.default_role)?;
    let auth = file.auth.map(|keys| auth::resolve(keys, &settings, directory)).transpose()?;
    let public_url = server.public_url.as_deref().map(auth::origin).transpose()?;

    Ok(Config {
        database_url,
        allow_unsafe_login,
        auth,
        public_url,
        settings,
        requests_per_minute,
        audit_file: audit.file.map(|path| directory.join(path)),
        allowed_hosts: server.allowed_hosts.unwrap_or_default(),
        allowed_origins: server.allowed_origins.unwrap_or_default(),
    })
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn apply_database(settings: &mut Settings, keys: DatabaseKeys) -> Result<(), ConfigError> {
    put(&mut settings.schemas, keys.schemas);
    if settings.schemas.is_empty() {
        return Err(ConfigError::new("database.schemas: must name at least one schema"));
    }
    put(&mut settings.limits.max_connections, keys.max_connections);
    if settings.limits.max_connections == 0 {
        return Err(ConfigError::new("database.max_connections: must be at least 1"));
    }
    let duration = |wait: Option<Wait>| wait.map(|wait| wait.0);
    let timeouts = &mut settings.timeouts;
    put(&mut timeouts.statement, duration(keys.statement_timeout));
    put(&mut timeouts.lock, duration(keys.lock_timeout));
    put(&mut timeouts.idle_in_transaction, duration(keys.idle_in_transaction_timeout));
    put(&mut timeouts.connect, duration(keys.connect_timeout));
    put(&mut timeouts.pool, duration(keys.pool_timeout));
    Ok(())
}

fn apply_limits(
    settings: &mut Settings,
    keys: LimitKeys,
) -> Result<Option<NonZeroU32>, ConfigError> {
    let limits = &mut settings.limits;
    // A bound that was not written follows a smaller `max_rows`.
    if let (Some(max), None) = (keys.max_rows, keys.default_rows) {
        limits.default_rows = limits.default_rows.min(max);
    }
    put(&mut limits.default_rows, keys.default_rows);
    put(&mut limits.max_rows, keys.max_rows);
    put(&mut limits.max_reply_bytes, keys.max_reply_bytes);
    put(&mut limits.max_write_rows, keys.max_write_rows);
    put(&mut limits.max_insert_rows, keys.max_insert_rows);
    put(&mut limits.max_operations, keys.max_operations);
    put(&mut limits.max_depth, keys.max_depth);
    put(&mut limits.max_nodes, keys.max_nodes);
    put(&mut limits.max_list, keys.max_list);
    put(&mut limits.max_pattern, keys.max_pattern);
    put(&mut limits.max_includes, keys.max_includes);
    for (key, value) in [("default_rows", limits.default_rows), ("max_rows", limits.max_rows)] {
        if value == 0 {
            return Err(ConfigError::new(format!("limits.{key}: must be at least 1")));
        }
    }
    if limits.default_rows > limits.max_rows {
        return Err(ConfigError::new(format!(
            "limits.default_rows ({}) is more than limits.max_rows ({})",
            limits.default_rows, limits.max_rows
        )));
    }
    match keys.requests_per_minute {
        None => Ok(None),
        Some(number) => NonZeroU32::new(number).map(Some).ok_or_else(|| {
            ConfigError::new(
                "limits.requests_per_minute: must be at least 1; leave it out for no limit",
            )
        }),
    }
}

fn marks(keys: MarkKeys) -> Result<ColumnMarks, ConfigError> {
    let marks = ColumnMarks {
        sensitive: keys.sensitive.unwrap_or_default(),
        untrusted: keys.untrusted.unwrap_or_default(),
    };
    for (key, patterns) in [("sensitive", &marks.sensitive), ("untrusted", &marks.untrusted)] {
        for (position, pattern) in patterns.iter().enumerate() {
            if !pattern.contains('*') && pattern.matches('.').count() < 2 {
                return Err(ConfigError::new(format!(
                    "columns.{key}[{position}]: {pattern:?} is not schema.table.column; * stands for any name"
                )));
            }
        }
    }
    Ok(marks)
}

fn apply_roles(
    settings: &mut Settings,
    roles: BTreeMap<String, RoleKeys>,
    default_role: Option<String>,
) -> Result<(), ConfigError> {
    if !roles.is_empty() {
        settings.roles =
            roles.into_iter().map(|(name, keys)| role(name, keys)).collect::<Result<_, _>>()?;
        if default_role.is_none() {
            let names: Vec<&str> = settings.roles.iter().map(|role| role.name.as_str()).collect();
            return Err(ConfigError::new(format!(
                "default_role: must be one of the configured roles: {}",
                names.join(", ")
            )));
        }
    }
    put(&mut settings.default_role, default_role);
    known_role(settings, &settings.default_role)
        .map_err(|error| ConfigError::new(format!("default_role: {error}")))
}

/// Whether callers can have the role.
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

fn role(name: String, keys: RoleKeys) -> Result<Role, ConfigError> {
    let mut session = BTreeMap::new();
    for (setting, value) in keys.session.unwrap_or_default() {
        let value = match value.strip_prefix("claim:") {
            Some("") => {
                return Err(ConfigError::new(format!(
                    "roles.{name}.session.{setting}: names no claim; write \"claim:NAME\""
                )));
            }
            Some(claim) => Setting::Claim(claim.to_owned()),
            None => Setting::Fixed(value),
        };
        session.insert(setting, value);
    }
    let grants = keys
        .grants
        .unwrap_or_default()
        .into_iter()
        .enumerate()
        .map(|(position, keys)| {
            grant(keys).map_err(|error| {
                ConfigError::new(format!("roles.{name}.grants[{position}]: {error}"))
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Role { name, database_role: keys.database_role, session, grants })
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
    Ok(Grant { tables, actions: actions.into_iter().collect(), columns, rows: keys.rows, preset })
}

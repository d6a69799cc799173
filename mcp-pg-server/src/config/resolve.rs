//! Resolves keys to settings: applies defaults, and refuses contradictory combinations.

use std::path::Path;
use std::time::Duration;

use mcp_pg_core::policy::ColumnMarks;
use mcp_pg_core::schema::DeclaredRelation;
use mcp_pg_core::{Settings, TableName};

use super::faults::Faults;
use super::raw::{AuditKeys, DatabaseKeys, File, MarkKeys, RelationKeys, Wait};
use super::{AuditFile, Config, ConfigError, auth, encryption, limits, role, server};

/// How often to check whether the schema has changed, if there are no notifications.
const SCHEMA_POLL: Duration = Duration::from_secs(2);

/// Applies the keys to the defaults. Relative paths are relative to `directory`.
pub(super) fn resolve(file: File, directory: &Path) -> Result<Config, Vec<ConfigError>> {
    let mut faults = Faults::default();
    let mut settings = Settings::default();
    let mut database = file.database.unwrap_or_default();
    let database_url = database.url.take();
    let schema_poll = database.schema_poll.take().map_or(SCHEMA_POLL, |wait| wait.0);
    let allow_unsafe_login = database.allow_unsafe_login.unwrap_or(false);
    apply_database(&mut settings, database, &mut faults);
    let limit_keys = file.limits.unwrap_or_default();
    let max_request_bytes = limit_keys.max_request_bytes;
    let mut request_limits = limits::apply(&mut settings, limit_keys, &mut faults);
    let archive = file.archive.unwrap_or_default();
    put(&mut settings.archive.column, archive.column);
    put(&mut settings.archive.allow_hard_delete, archive.allow_hard_delete);
    let concurrency = file.concurrency.unwrap_or_default();
    settings.concurrency.version_column = concurrency.version_column;
    put(&mut settings.concurrency.retries, concurrency.retries);
    put(&mut settings.comments.owners, file.comments.unwrap_or_default().owners);
    let encryption = file.encryption.unwrap_or_default();
    let encryption_key_file = encryption::key_file(&encryption, directory);
    let encryption = encryption::resolve(encryption, encryption_key_file.as_deref());
    put(&mut settings.encryption, faults.note(encryption));
    settings.columns = marks(file.columns.unwrap_or_default(), &mut faults);
    let queries = file.queries.unwrap_or_default();
    if queries.directory.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
        faults.add(ConfigError::new("queries.directory: must name a directory"));
    }
    settings.queries.directory = queries.directory.map(|path| directory.join(path));
    put(&mut settings.queries.functions, queries.functions);
    let audit = file.audit.unwrap_or_default();
    let audit_file = apply_audit(&mut settings, audit, directory, &mut faults);
    let relations = file.relations.unwrap_or_default().into_iter().enumerate();
    settings.relations = relations.filter_map(|keys| faults.note(declared(keys))).collect();
    let roles = file.roles.unwrap_or_default();
    let configured_roles = roles.keys().cloned().collect();
    for (name, keys) in &roles {
        let limits = keys.limits.as_ref().map(|keys| limits::of_role(name, keys, &mut faults).1);
        request_limits.roles.extend(limits.map(|limits| (name.clone(), limits)));
    }
    let named: Vec<&str> = file.auth.iter().flat_map(auth::roles_of_keys).collect();
    let confirm = file.confirm.unwrap_or_default();
    let default_role = (file.default_role, named.as_slice());
    role::apply(&mut settings, roles, default_role, confirm, &mut faults);
    let auth = file.auth.map(|keys| auth::resolve(keys, &settings, directory, &mut faults));
    let server = server::resolve(file.server.unwrap_or_default(), directory, &mut faults);

    let faults = faults.all();
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(Config {
        database_url,
        schema_poll,
        allow_unsafe_login,
        auth,
        server,
        settings,
        request_limits,
        max_request_bytes,
        encryption_key_file,
        configured_roles,
        audit_file,
    })
}

pub(super) fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn apply_database(settings: &mut Settings, keys: DatabaseKeys, faults: &mut Faults) {
    put(&mut settings.schemas, keys.schemas);
    if settings.schemas.is_empty() {
        faults.add(ConfigError::new("database.schemas: must name at least one schema"));
    }
    put(&mut settings.limits.max_connections, keys.max_connections);
    if settings.limits.max_connections == 0 {
        faults.add(ConfigError::new("database.max_connections: must be at least 1"));
    }
    let duration = |wait: Option<Wait>| wait.map(|wait| wait.0);
    let timeouts = &mut settings.timeouts;
    put(&mut timeouts.statement, duration(keys.statement_timeout));
    // By default, a transaction may take as long as one statement.
    let transaction = duration(keys.transaction_timeout);
    timeouts.transaction = transaction.unwrap_or(timeouts.transaction.max(timeouts.statement));
    put(&mut timeouts.lock, duration(keys.lock_timeout));
    put(&mut timeouts.idle_in_transaction, duration(keys.idle_in_transaction_timeout));
    put(&mut timeouts.connect, duration(keys.connect_timeout));
    put(&mut timeouts.pool, duration(keys.pool_timeout));
}

fn marks(keys: MarkKeys, faults: &mut Faults) -> ColumnMarks {
    let marks = ColumnMarks {
        sensitive: keys.sensitive.unwrap_or_default(),
        untrusted: keys.untrusted.unwrap_or_default(),
    };
    for (key, patterns) in [("sensitive", &marks.sensitive), ("untrusted", &marks.untrusted)] {
        for (position, pattern) in patterns.iter().enumerate() {
            if !pattern.contains('*') && pattern.matches('.').count() < 2 {
                faults.add(ConfigError::new(format!(
                    "columns.{key}[{position}]: {pattern:?} is not schema.table.column; * stands for any name"
                )));
            }
        }
    }
    marks
}

fn declared((index, keys): (usize, RelationKeys)) -> Result<DeclaredRelation, ConfigError> {
    let missing = |key: &str| ConfigError::new(format!("relations[{index}].{key}: must be given"));
    Ok(DeclaredRelation {
        table: keys.table.ok_or_else(|| missing("table"))?,
        columns: keys.columns.ok_or_else(|| missing("columns"))?,
        to: keys.to.ok_or_else(|| missing("to"))?,
        references: keys.references.unwrap_or_default(),
        name: keys.name,
        inverse: keys.inverse,
    })
}

/// Applies the keys, and returns the audit file.
fn apply_audit(
    settings: &mut Settings,
    keys: AuditKeys,
    directory: &Path,
    faults: &mut Faults,
) -> Option<AuditFile> {
    let audit = &mut settings.audit;
    if let Some(name) = keys.table {
        let parts = name.split_once('.').filter(|(schema, table)| {
            !schema.is_empty() && !table.is_empty() && !table.contains('.')
        });
        let parts = parts.ok_or_else(|| {
            ConfigError::new(format!("audit.table: {name:?} is not \"schema.table\""))
        });
        audit.table = faults.note(parts).map(|(schema, table)| TableName::new(schema, table));
    }
    put(&mut audit.images, keys.images);
    put(&mut audit.values, keys.values);
    put(&mut audit.on_failure, keys.on_failure);
    match keys.file {
        Some(path) if path.as_os_str().is_empty() => {
            faults.add(ConfigError::new("audit.file: must name a file"));
            None
        }
        Some(path) => {
            Some(AuditFile { path: directory.join(path), max_bytes: keys.max_file_bytes })
        }
        None => {
            if keys.max_file_bytes.is_some() {
                faults.add(ConfigError::new("audit.max_file_bytes: there is no audit.file"));
            }
            None
        }
    }
}

//! The settings of an engine: roles, limits, timeouts, and how rows are archived, encrypted and audited.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::{ColumnMarks, Encryption, MaskKey, Role};
use crate::error::{Code, Error, Result};
use crate::name::TableName;
use crate::schema::{Column, DeclaredRelation, Table};

/// How an [`Engine`](crate::Engine) behaves: the parsed form of a configuration.
///
/// ```
/// use mcp_pg_core::Settings;
///
/// let settings = Settings { schemas: vec!["sales".into()], ..Settings::default() };
/// assert_eq!(settings.limits.default_rows, 100);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The schemas to read, in the order in which a bare table name is looked up.
    pub schemas: Vec<String>,
    /// Relations that no foreign key declares.
    pub relations: Vec<DeclaredRelation>,
    /// The roles that callers can have.
    pub roles: Vec<Role>,
    /// The role of callers whose credentials name none. If empty, such callers are refused.
    pub default_role: String,
    /// Which columns are sensitive, and which untrusted.
    pub columns: ColumnMarks,
    /// Which columns are encrypted, and with which keys.
    pub encryption: Encryption,
    /// The key of the mask `hash`. If absent, it is derived from the login's password; without a password, it is new with each
    /// start.
    pub mask_key: Option<MaskKey>,
    /// Whose comments may contain directives.
    pub comments: Comments,
    /// Limits on requests and replies.
    pub limits: Limits,
    /// How rows are archived instead of deleted.
    pub archive: Archive,
    /// How concurrent changes are detected.
    pub concurrency: Concurrency,
    /// How long to wait. PostgreSQL's timeouts are rounded up to milliseconds and are at most 24 days; zero is no limit.
    pub timeouts: Timeouts,
    /// How the database's server is authenticated on encrypted connections.
    pub tls: Tls,
    /// What the audit log keeps.
    pub audit: AuditDetail,
    /// Canned queries: hand-written SQL and functions as tools.
    pub queries: Queries,
}

/// How the database's server is authenticated on encrypted connections. Whether connections are encrypted is the
/// connection's `sslmode`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// What the server's certificate must prove.
    pub identity: ServerIdentity,
    /// The certificates of trusted authorities, as PEM; those of the operating system if absent.
    pub root_certificates: Option<String>,
}

/// What the server's certificate must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerIdentity {
    /// Nothing: libpq's `require`.
    #[default]
    Any,
    /// That a trusted authority issued it: libpq's `verify-ca`.
    Authority,
    /// That a trusted authority issued it for the host of the connection: libpq's `verify-full`.
    Name,
}

impl Settings {
    /// The schemas to watch for changes: those of tables, and those of functions that are tools.
    pub(crate) fn watched_schemas(&self) -> Vec<String> {
        let mut schemas = self.schemas.clone();
        schemas.extend(self.queries.functions.iter().cloned());
        schemas
    }

    /// Refuses limits of 0 that would let every reply look as if there were no rows, or every call as if all connections
    /// were busy.
    pub(crate) fn check_limits(&self) -> Result<()> {
        let limits = &self.limits;
        let none = |role: &&Role| role.limits.max_rows == Some(0);
        let key = match self.roles.iter().find(none) {
            Some(role) => format!("roles.{}.limits.max_rows", role.name),
            None if limits.max_rows == 0 => "limits.max_rows".to_owned(),
            None if limits.default_rows == 0 => "limits.default_rows".to_owned(),
            None if limits.max_connections == 0 => "database.max_connections".to_owned(),
            None => return Ok(()),
        };
        Err(Error::new(Code::InvalidValue, format!("{key}: must be at least 1")))
    }

    /// Adds the first schema to table names and patterns in grants that have none, except `*`. [`Engine::connect`](crate::Engine::connect) does this
    /// itself.
    pub fn qualify_grants(&mut self) {
        let Some(schema) = self.schemas.first() else { return };
        let grants = self.roles.iter_mut().flat_map(|role| &mut role.grants);
        for table in grants.flat_map(|grant| &mut grant.tables) {
            if !table.contains('.') && table != "*" {
                *table = format!("{schema}.{table}");
            }
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            schemas: vec!["public".into()],
            relations: Vec::new(),
            roles: Role::built_in(),
            default_role: "analyst".into(),
            columns: ColumnMarks::default(),
            encryption: Encryption::default(),
            mask_key: None,
            comments: Comments::default(),
            limits: Limits::default(),
            archive: Archive::default(),
            concurrency: Concurrency::default(),
            timeouts: Timeouts::default(),
            tls: Tls::default(),
            audit: AuditDetail::default(),
            queries: Queries::default(),
        }
    }
}

/// Limits on the size and shape of requests and replies. A request beyond them is refused with `limit_exceeded`; a reply is
/// truncated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The number of rows in a reply if the request has no `limit`.
    pub default_rows: u64,
    /// The maximum number of rows in a reply.
    pub max_rows: u64,
    /// The maximum size of a reply's rows, in bytes of JSON.
    pub max_reply_bytes: usize,
    /// `max_rows` of a write that has none of its own.
    pub max_write_rows: u64,
    /// The maximum number of rows in one insert.
    pub max_insert_rows: usize,
    /// The maximum number of operations in one transaction.
    pub max_operations: usize,
    /// The maximum depth to which conditions nest.
    pub max_depth: usize,
    /// The maximum number of parts in a condition.
    pub max_nodes: usize,
    /// The maximum length of a list, for instance of `in`.
    pub max_list: usize,
    /// The maximum length of a pattern of `like` or `matches`, in bytes.
    pub max_pattern: usize,
    /// The maximum number of relations that one select includes, at all depths.
    pub max_includes: usize,
    /// The maximum number of related rows that one request reaches for its returned values, sort keys, groups and measures, in
    /// its conditions, and for totals. PostgreSQL plans a query in a time that grows with the square of its joins.
    pub max_joins: usize,
    /// The maximum number of related rows that the limits of nested relations can add up to for one row, where an include can
    /// reach the same rows repeatedly: back along a relation, or twice through a junction.
    pub max_related: u64,
    /// The maximum number of sort keys, and of groups and measures, in one request.
    pub max_keys: usize,
    /// The maximum number of connections to the database.
    pub max_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            default_rows: 100,
            max_rows: 1_000,
            max_reply_bytes: 262_144,
            max_write_rows: 1,
            max_insert_rows: 10_000,
            max_operations: 100,
            max_depth: 16,
            max_nodes: 256,
            max_list: 1_000,
            max_pattern: 1_024,
            max_includes: 16,
            max_joins: 32,
            max_related: 100_000,
            max_keys: 64,
            max_connections: 16,
        }
    }
}

/// Whose comments may contain directives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comments {
    /// PostgreSQL roles. Directives count only on what one of them owns.
    pub owners: Vec<String>,
}

/// How rows are archived instead of deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The column with the time at which a row was archived; null in rows that are not archived.
    pub column: String,
    /// Whether rows can be deleted at all.
    pub allow_hard_delete: bool,
}

impl Default for Archive {
    fn default() -> Self {
        Self { column: "archived_at".into(), allow_hard_delete: false }
    }
}

impl Archive {
    /// The column that archives a table's rows; `None` if it is missing, or not a nullable date or timestamp.
    pub fn column_of<'t>(&self, table: &'t Table) -> Option<&'t Column> {
        let (_, column) = table.column(&self.column)?;
        (column.data_type.has_day() && column.nullable).then_some(column)
    }
}

/// How concurrent changes are detected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// The name of the columns that count the changes of a row. Tables without such a column use `xmin`. If absent, the name
    /// is `version`, and a column counts only if each new row has a value in it, since tables may use the name for something
    /// else. If empty, all tables use `xmin`.
    pub version_column: Option<String>,
    /// How often a transaction is retried after a serialization failure, within `timeouts.transaction`.
    pub retries: u32,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { version_column: None, retries: 100 }
    }
}

/// How long to wait. PostgreSQL's timeouts are rounded up to milliseconds and are at most 24 days; for these, zero is no
/// limit. For the others, zero is no time at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// PostgreSQL's `statement_timeout`; 10 seconds by default.
    pub statement: Duration,
    /// For all statements of a transaction together. If the statement timeout of a role or of a canned query is longer, that
    /// one. 30 seconds by default; never zero.
    pub transaction: Duration,
    /// PostgreSQL's `lock_timeout`; 5 seconds by default.
    pub lock: Duration,
    /// PostgreSQL's `idle_in_transaction_session_timeout`; 30 seconds by default.
    pub idle_in_transaction: Duration,
    /// For a new connection; 5 seconds by default, never zero.
    pub connect: Duration,
    /// For a connection of the pool to become free; 5 seconds by default. Zero refuses a call if none is free at once.
    pub pool: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            statement: Duration::from_secs(10),
            transaction: Duration::from_secs(30),
            lock: Duration::from_secs(5),
            idle_in_transaction: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            pool: Duration::from_secs(5),
        }
    }
}

/// Where canned queries come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Queries {
    /// The directory of the `*.sql` files; none if absent. [`Engine::follow`](crate::Engine::follow) does not look at files:
    /// call [`Engine::reload`](crate::Engine::reload) when one has changed.
    pub directory: Option<PathBuf>,
    /// Schemas whose functions are tools if their comment contains `@tool`.
    pub functions: Vec<String>,
}

/// What the audit log keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDetail {
    /// The table for records, in the database itself. No caller sees it.
    pub table: Option<TableName>,
    /// Which values of arguments and images it keeps.
    pub values: AuditValues,
    /// Whether it keeps images of written rows, before and after.
    pub images: bool,
    /// What happens to a read whose record cannot be written. A write is always refused.
    pub on_failure: OnFailure,
}

impl Default for AuditDetail {
    fn default() -> Self {
        Self {
            table: None,
            values: AuditValues::Redacted,
            images: true,
            on_failure: OnFailure::Warn,
        }
    }
}

/// What happens to a read whose record cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is answered only once its record is written.
    Refuse,
    /// It is answered at once, and the failure is logged.
    Warn,
}

/// Which values the audit log keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditValues {
    /// All but those of masked, sensitive and encrypted columns.
    Redacted,
    /// All but those of masked and encrypted columns.
    Full,
    /// None.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_no_rows_are_refused() {
        let refused = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.check_limits().err().map(|error| error.message().to_owned())
        };
        assert_eq!(refused(|_| ()), None);
        for (change, key) in [
            ((|s| s.limits.max_rows = 0) as fn(&mut Settings), "limits.max_rows"),
            (|s| s.limits.default_rows = 0, "limits.default_rows"),
            (|s| s.limits.max_connections = 0, "database.max_connections"),
            (|s| s.roles[0].limits.max_rows = Some(0), "roles.analyst.limits.max_rows"),
        ] {
            assert_eq!(refused(change), Some(format!("{key}: must be at least 1")));
        }
    }
}

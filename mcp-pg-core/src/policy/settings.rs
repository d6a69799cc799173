//! The rules that hold for every caller: bounds, the archive column, roles.

use std::path::PathBuf;
use std::time::Duration;

use super::{ColumnMarks, Encryption, MaskKey, Role};
use crate::name::TableName;
use crate::schema::DeclaredRelation;

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
    /// Relations that no foreign key tells.
    pub relations: Vec<DeclaredRelation>,
    /// The roles that callers can have.
    pub roles: Vec<Role>,
    /// The role of callers who bring none; the empty name, which no role has, if they have none.
    pub default_role: String,
    /// Which columns are sensitive, and which untrusted.
    pub columns: ColumnMarks,
    /// Which columns are encrypted, and with which keys.
    pub encryption: Encryption,
    /// What the mask `hash` is computed under. An engine that is given none makes one from the login's password; if
    /// that has none, anew with each start.
    pub mask_key: Option<MaskKey>,
    /// Whose comments may hold directives.
    pub comments: Comments,
    /// Bounds on requests and replies.
    pub limits: Limits,
    /// Setting rows aside.
    pub archive: Archive,
    /// Detecting concurrent changes.
    pub concurrency: Concurrency,
    /// Waiting.
    pub timeouts: Timeouts,
    /// Encrypted connections to the database.
    pub tls: Tls,
    /// What the audit keeps of values.
    pub audit: AuditDetail,
    /// Tools of one's own.
    pub queries: Queries,
}

/// How the database's server is known where its connections are encrypted. Whether they are is the
/// `sslmode` of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// What the server must prove.
    pub identity: ServerIdentity,
    /// Certificates of the authorities that count, as PEM; those of the operating system if absent.
    pub root_certificates: Option<String>,
}

/// What the server's certificate must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerIdentity {
    /// Nothing: libpq's `require`.
    #[default]
    Any,
    /// That a known authority issued it: libpq's `verify-ca`.
    Authority,
    /// That a known authority issued it to the host that was asked for: libpq's `verify-full`.
    Name,
}

impl Settings {
    /// The schemas whose changes matter: those of tables, and those of functions that are tools.
    pub(crate) fn watched_schemas(&self) -> Vec<String> {
        let mut schemas = self.schemas.clone();
        schemas.extend(self.queries.functions.iter().cloned());
        schemas
    }

    /// Gives tables that grants name without a schema the first one, in which replies name them so, too. An engine does this
    /// itself.
    pub fn qualify_grants(&mut self) {
        let Some(schema) = self.schemas.first() else { return };
        let grants = self.roles.iter_mut().flat_map(|role| &mut role.grants);
        for table in grants.flat_map(|grant| &mut grant.tables) {
            if !table.contains('.') && !table.starts_with('*') {
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

/// Bounds on the size and shape of requests and replies; more is `limit_exceeded`, or a cut reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a reply whose request names no limit.
    pub default_rows: u64,
    /// Most rows of any reply.
    pub max_rows: u64,
    /// Most bytes of a reply's rows, as JSON.
    pub max_reply_bytes: usize,
    /// `max_rows` of a write that names none.
    pub max_write_rows: u64,
    /// Most rows of one insert.
    pub max_insert_rows: usize,
    /// Most operations of one transaction.
    pub max_operations: usize,
    /// Deepest nesting of a condition.
    pub max_depth: usize,
    /// Most parts of a condition.
    pub max_nodes: usize,
    /// Longest list of an `in`.
    pub max_list: usize,
    /// Longest pattern of a `like` or `matches`, in bytes.
    pub max_pattern: usize,
    /// Most relations that one select includes, at all depths.
    pub max_includes: usize,
    /// Most related rows that the limits of nested relations may amount to for one row, where the same rows are met
    /// again and again on the way: down after up, or through a junction twice.
    pub max_related: u64,
    /// Most sort keys, and most groups and measures, of one request.
    pub max_keys: usize,
    /// Most connections to the database.
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
            max_related: 100_000,
            max_keys: 64,
            max_connections: 16,
        }
    }
}

/// Which comments are more than text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comments {
    /// PostgreSQL roles: directives on what they own are obeyed.
    pub owners: Vec<String>,
}

/// How rows are set aside instead of deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The column that holds when a row was archived; null means that it is not.
    pub column: String,
    /// Whether `delete` exists at all.
    pub allow_hard_delete: bool,
}

impl Default for Archive {
    fn default() -> Self {
        Self { column: "archived_at".into(), allow_hard_delete: false }
    }
}

/// How concurrent changes are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// The column that counts a row's changes, where a table has it; else `xmin` serves. If absent, that is `version`
    /// where each new row has one, since many a table keeps something else under that name: the empty name is no column's.
    pub version_column: Option<String>,
    /// How often a transaction that PostgreSQL asks to retry is run again, as long as `timeouts.transaction` lasts.
    pub retries: u32,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { version_column: None, retries: 100 }
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// PostgreSQL's `statement_timeout`.
    pub statement: Duration,
    /// For all statements of a transaction together; where a role or a canned query may have longer for one, that long.
    pub transaction: Duration,
    /// PostgreSQL's `lock_timeout`.
    pub lock: Duration,
    /// PostgreSQL's `idle_in_transaction_session_timeout`.
    pub idle_in_transaction: Duration,
    /// For a connection to be made.
    pub connect: Duration,
    /// For a connection of the pool to be free.
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
    /// The directory of the `*.sql` files; none if absent.
    pub directory: Option<PathBuf>,
    /// Schemas whose functions are tools, where their comment says `@tool`.
    pub functions: Vec<String>,
}

/// What the audit keeps besides who, what and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditDetail {
    /// The table that records go to, in the database itself; it does not exist for any caller.
    pub table: Option<TableName>,
    /// The values in arguments and images.
    pub values: AuditValues,
    /// Images of written rows before and after.
    pub images: bool,
    /// What becomes of a read whose record cannot be kept; a write is always refused.
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

/// What becomes of a read whose record cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It is answered only once its record is kept.
    Refuse,
    /// It is answered at once; the server's log tells of the failure.
    Warn,
}

/// Which values the audit keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditValues {
    /// All but those of masked, sensitive and encrypted columns.
    Redacted,
    /// All.
    Full,
    /// None.
    None,
}

//! The keys of the configuration file as written, without defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use mcp_pg_core::name::nearest;
use mcp_pg_core::policy::{Action, AuditValues, Mask, OnFailure, duration};
use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::ConfigError;
use crate::auth::Algorithm;

macro_rules! section {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $key:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name { $($(#[$attr])* pub(super) $key: Option<$type>,)* }
    )*};
}

section! {
    /// The file.
    File {
        default_role: String,
        confirm: Vec<Action>,
        database: DatabaseKeys,
        limits: LimitKeys,
        archive: ArchiveKeys,
        concurrency: ConcurrencyKeys,
        relations: Vec<RelationKeys>,
        columns: MarkKeys,
        comments: CommentKeys,
        encryption: EncryptionKeys,
        roles: BTreeMap<String, RoleKeys>,
        auth: AuthSection,
        audit: AuditKeys,
        queries: QueryKeys,
        server: ServerKeys,
    }
    DatabaseKeys {
        url: String,
        allow_unsafe_login: bool,
        schemas: Vec<String>,
        max_connections: usize,
        statement_timeout: Wait,
        transaction_timeout: Wait,
        lock_timeout: Wait,
        idle_in_transaction_timeout: Wait,
        connect_timeout: Wait,
        pool_timeout: Wait,
        schema_poll: Wait,
    }
    LimitKeys {
        default_rows: u64,
        max_rows: u64,
        max_reply_bytes: usize,
        max_write_rows: u64,
        max_insert_rows: usize,
        max_operations: usize,
        max_depth: usize,
        max_nodes: usize,
        max_list: usize,
        max_pattern: usize,
        max_includes: usize,
        max_joins: usize,
        max_related: u64,
        max_keys: usize,
        requests_per_minute: u32,
        concurrency: u32,
        failed_authentications_per_minute: u32,
        max_request_bytes: usize,
    }
    ArchiveKeys { column: String, allow_hard_delete: bool, }
    EncryptionKeys {
        columns: Vec<String>,
        blind_index: BTreeMap<String, String>,
        key_file: PathBuf,
        /// From the environment.
        keys: String,
    }
    CommentKeys { owners: Vec<String>, }
    MarkKeys { sensitive: Vec<String>, untrusted: Vec<String>, }
    ConcurrencyKeys { version_column: String, retries: u32, }
    RelationKeys {
        table: String,
        columns: Vec<String>,
        to: String,
        references: Vec<String>,
        name: String,
        inverse: String,
    }
    RoleKeys {
        database_role: String,
        session: BTreeMap<String, String>,
        limits: RoleLimitKeys,
        confirm_after_untrusted: bool,
        confirm: Vec<Action>,
        grants: Vec<GrantKeys>,
        analyze: bool,
    }
    RoleLimitKeys {
        max_rows: u64,
        max_reply_bytes: usize,
        statement_timeout: Wait,
        requests_per_minute: u32,
        concurrency: u32,
    }
    GrantKeys {
        tables: Vec<String>,
        actions: Vec<Action>,
        confirm: Vec<Action>,
        columns: ColumnKeys,
        rows: Map<String, Value>,
        preset: BTreeMap<String, Value>,
    }
    ColumnKeys {
        include: Vec<String>,
        exclude: Vec<String>,
        writable: Vec<String>,
        mask: BTreeMap<String, Mask>,
        decrypt: Vec<String>,
    }
    AuthSection { api_keys: Vec<ApiKeyKeys>, jwt: JwtKeys, }
    ApiKeyKeys { name: String, hash: String, role: String, claims: Map<String, Value>, }
    JwtKeys {
        issuer: String,
        audience: Audience,
        jwks_url: String,
        jwks_file: PathBuf,
        public_key_file: PathBuf,
        algorithms: Vec<Algorithm>,
        role_claim: String,
        leeway: Wait,
    }
    AuditKeys {
        file: PathBuf,
        max_file_bytes: NonZeroU64,
        table: String,
        values: AuditValues,
        images: bool,
        on_failure: OnFailure,
    }
    QueryKeys { directory: PathBuf, functions: Vec<String>, }
    ServerKeys {
        allowed_hosts: Vec<String>,
        allowed_origins: Vec<String>,
        public_url: String,
        tls_certificate: PathBuf,
        tls_key: PathBuf,
        max_connections: NonZeroUsize,
        request_timeout: Wait,
        state_key_file: PathBuf,
        /// From the environment.
        state_key: String,
    }
}

/// `auth.jwt.audience`: a name, or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

/// A duration: a number and `ms`, `s`, `m` or `h`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait(pub(super) Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Wait;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"500ms\", \"10s\" or \"2m\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Wait, E> {
                duration(text).map(Wait).ok_or_else(|| {
                    E::custom(format!(
                        "{text:?} is not a duration such as \"500ms\", \"10s\" or \"2m\""
                    ))
                })
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Reads the keys.
pub(super) fn parse(table: toml::Table) -> Result<File, ConfigError> {
    read(table).map_err(|error| told(&error))
}

/// Reads the keys that can be read, and tells what is wrong with the others.
pub(super) fn parse_most(mut table: toml::Table) -> (File, Vec<ConfigError>) {
    let mut faults = Vec::new();
    loop {
        let error = match read(table.clone()) {
            Ok(file) => return (file, faults),
            Err(error) => error,
        };
        faults.push(told(&error));
        let path: Vec<&Segment> = error.path().iter().collect();
        // An item is not removed alone, so that the others keep their numbers.
        let named = path.iter().rposition(|segment| matches!(segment, Segment::Map { .. }));
        let path = path.get(..=named.unwrap_or_default()).unwrap_or_default();
        if faults.len() >= FAULTS_MOST || !remove(&mut table, path) {
            return (File::default(), faults);
        }
    }
}

/// The most faults that are looked for: each is found by reading all again.
const FAULTS_MOST: usize = 100;

fn read(table: toml::Table) -> Result<File, serde_path_to_error::Error<toml::de::Error>> {
    serde_path_to_error::deserialize(table)
}

fn told(error: &serde_path_to_error::Error<toml::de::Error>) -> ConfigError {
    // toml adds a second line, which repeats the path.
    let reason = error.inner().to_string();
    let reason = reason.lines().next().unwrap_or_default();
    ConfigError::new(explain(&error.path().to_string(), reason))
}

/// Removes the key at this path, if it is there.
fn remove(table: &mut toml::Table, path: &[&Segment]) -> bool {
    let [Segment::Map { key }, rest @ ..] = path else { return false };
    match (table.get_mut(key.as_str()), rest) {
        (Some(_), []) => table.remove(key.as_str()).is_some(),
        (Some(toml::Value::Table(inner)), rest) => remove(inner, rest),
        (Some(toml::Value::Array(items)), [Segment::Seq { index }, rest @ ..]) => {
            let item = items.get_mut(*index).and_then(toml::Value::as_table_mut);
            item.is_some_and(|inner| remove(inner, rest))
        }
        _ => false,
    }
}

/// The TOML term for a Rust type in serde's message.
fn in_toml(reason: &str) -> String {
    let Some((got, wanted)) = reason.rsplit_once(", expected ") else { return reason.to_owned() };
    let wanted = match wanted {
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "a nonzero u64" | "a nonzero usize" => "a whole number, 1 or more",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        _ if wanted.starts_with("struct ") => "a table",
        other => other,
    };
    // Such a text may be long, and hold what is not for a log.
    match got.strip_prefix("invalid type: string \"") {
        Some(text) if is_structured(text) => {
            let null = if text.contains("null") {
                ", or holds a null, which TOML has not: {\"is_null\": true} is the condition"
            } else {
                ""
            };
            format!("expected {wanted}, and the text is neither TOML nor JSON{null}")
        }
        _ => format!("{got}, expected {wanted}"),
    }
}

/// Whether a text begins as a list or table does.
pub(super) fn is_structured(text: &str) -> bool {
    text.trim_start().starts_with(['[', '{'])
}

/// serde's message with the nearest of the names that it lists.
///
/// An unknown name is reported as ``unknown field `x`, expected one of `a`, `b` ``: the texts between
/// backticks are the name and the known ones.
fn explain(path: &str, reason: &str) -> String {
    let mut names = reason.split('`').skip(1).step_by(2);
    let what = match reason {
        _ if reason.starts_with("unknown field") => "unknown key",
        _ if reason.starts_with("unknown variant") => "no such value",
        _ => return format!("{path}: {}", in_toml(reason)),
    };
    let given = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    let subject = if what == "unknown key" { what.to_owned() } else { format!("{what} {given:?}") };
    match nearest(given, known.iter().copied()) {
        Some(name) => format!("{path}: {subject}; did you mean {name}?"),
        None => format!("{path}: {subject}; there are {}", known.join(", ")),
    }
}

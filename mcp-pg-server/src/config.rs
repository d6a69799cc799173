//! The configuration: one TOML file, environment variables over it, command-line options over both.
//!
//! Raw keys first, resolved values second: nothing else in this crate reads a file or a
//! variable. Knows what the engine can be told; not what the database holds.

mod auth;
mod claim;
mod database;
mod encryption;
mod environment;
mod limits;
mod raw;
mod resolve;
mod role;
mod server;
mod sslmode;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mcp_pg_core::Settings;

use crate::file;
use crate::limits::RequestLimits;

pub use auth::Auth;
pub use database::Database;
pub use environment::Environment;
pub(crate) use role::known_role;
pub use server::Server;

/// The file that is read when none is named, if it is there.
pub const DEFAULT_FILE: &str = "mcp-pg.toml";

/// A configuration that means something.
#[derive(Debug, Clone)]
pub struct Config {
    /// `database.url`, if set: not yet joined with the environment, see [`Database::resolve`].
    pub database_url: Option<String>,
    /// How often to look whether the schema has changed, where no trigger tells.
    pub schema_poll: Duration,
    /// Whether `http` may listen beyond loopback with a login that row-level security does not bind.
    pub allow_unsafe_login: bool,
    /// Who may call over HTTP; whoever reaches the loopback port if absent.
    pub auth: Option<Auth>,
    /// How the server is reached over HTTP.
    pub server: Server,
    /// What the engine is told.
    pub settings: Settings,
    /// Bounds on the calls of each caller.
    pub request_limits: RequestLimits,
    /// Most bytes of a request over HTTP, if it is not the default.
    pub max_request_bytes: Option<usize>,
    /// The file of the keys for encrypted columns, if they are in one.
    pub encryption_key_file: Option<PathBuf>,
    /// The roles that the file defines; the others are built in.
    pub configured_roles: BTreeSet<String>,
    /// Where the audit log goes; nowhere if absent.
    pub audit_file: Option<AuditFile>,
}

/// The audit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFile {
    /// Where it is.
    pub path: PathBuf,
    /// How large it grows before it is rotated; without end if absent.
    pub max_bytes: Option<NonZeroU64>,
}

/// A key, value or combination that is not accepted; exit status 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with the sentence that is shown.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads `file`, or [`DEFAULT_FILE`] if that exists, and lays the environment over it.
    ///
    /// # Errors
    ///
    /// A file that cannot be read; a key that does not exist, with the nearest that does; a value of the
    /// wrong type; settings that contradict each other.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let (path, text) = match file {
            Some(path) => {
                let text = file::read_text(path).map_err(|error| {
                    ConfigError::new(format!("cannot read {}: {error}", path.display()))
                })?;
                (Some(path), text)
            }
            None => match file::read_text(Path::new(DEFAULT_FILE)) {
                Ok(text) => (Some(Path::new(DEFAULT_FILE)), text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => (None, String::new()),
                Err(error) => {
                    return Err(ConfigError::new(format!("cannot read {DEFAULT_FILE}: {error}")));
                }
            },
        };
        let in_file = |error: ConfigError| match path {
            Some(path) => ConfigError::new(format!("{}: {error}", path.display())),
            None => error,
        };
        let mut table: toml::Table = toml::from_str(&text).map_err(|error| {
            let reason = error.to_string();
            let reason = reason
                .replace(" as i128, expected any valid TOML value", ", expected a smaller one");
            in_file(ConfigError::new(reason.trim_end()))
        })?;
        let overlaid = environment.overlay(&mut table)?;
        let named = |error: ConfigError| {
            let blamed = overlaid.iter().find_map(|overlaid| overlaid.blamed(&error));
            blamed.unwrap_or_else(|| in_file(error))
        };
        let raw = raw::parse(table).map_err(named)?;
        let directory = path.and_then(Path::parent).unwrap_or(Path::new(""));
        resolve::resolve(raw, directory).map_err(named)
    }
}

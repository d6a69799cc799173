//! The configuration: one TOML file, environment variables over it, command-line options over both.
//!
//! `raw` parses the keys, `resolve` turns them into settings. Only this module reads the file and the environment.
//! Knows the engine's settings, but not the database.

mod auth;
mod claim;
mod database;
mod encryption;
mod environment;
mod faults;
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

/// The file that is read if none is named and it exists.
pub const DEFAULT_FILE: &str = "mcp-pg.toml";

/// A resolved configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `database.url`, if set. See [`Database::resolve`] for the environment's part.
    pub database_url: Option<String>,
    /// How often to check whether the schema has changed, if there are no notifications.
    pub schema_poll: Duration,
    /// Whether `http` may listen beyond loopback although the login is dangerous.
    pub allow_unsafe_login: bool,
    /// The authentication of HTTP callers. Without it, only loopback is served.
    pub auth: Option<Auth>,
    /// The HTTP server.
    pub server: Server,
    /// The engine's settings.
    pub settings: Settings,
    /// Limits on the calls of each caller.
    pub request_limits: RequestLimits,
    /// The most bytes of an HTTP request; the default if absent.
    pub max_request_bytes: Option<usize>,
    /// The file of the encryption keys, if they are in one.
    pub encryption_key_file: Option<PathBuf>,
    /// The roles that the file defines. Others are built in.
    pub configured_roles: BTreeSet<String>,
    /// The audit file; none if absent.
    pub audit_file: Option<AuditFile>,
}

/// The audit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditFile {
    /// The path.
    pub path: PathBuf,
    /// The size at which it is rotated; never if absent.
    pub max_bytes: Option<NonZeroU64>,
}

/// A key, value or combination of keys that is not valid; exit status 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The first name in the message.
    fn section(&self) -> &str {
        self.0.split(['.', ':', '[', ' ']).next().unwrap_or_default()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads `file`, or [`DEFAULT_FILE`] if that exists, and applies the environment.
    ///
    /// # Errors
    ///
    /// The file cannot be read; a key does not exist, with the nearest one; a value has the wrong type; settings
    /// contradict each other.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        Self::read(file, environment).map_err(|faults| {
            faults.into_iter().next().unwrap_or_else(|| ConfigError::new("it cannot be read"))
        })
    }

    /// All that keeps a configuration from being loaded, as far as one fault does not hide another.
    pub fn faults(file: Option<&Path>, environment: &Environment) -> Vec<ConfigError> {
        Self::read(file, environment).err().unwrap_or_default()
    }

    fn read(file: Option<&Path>, environment: &Environment) -> Result<Self, Vec<ConfigError>> {
        let (path, text) = match file {
            Some(path) => {
                let text = file::read_text(path).map_err(|error| {
                    vec![ConfigError::new(format!("cannot read {}: {error}", path.display()))]
                })?;
                (Some(path), text)
            }
            None => match file::read_text(Path::new(DEFAULT_FILE)) {
                Ok(text) => (Some(Path::new(DEFAULT_FILE)), text),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => (None, String::new()),
                Err(error) => {
                    let fault = ConfigError::new(format!("cannot read {DEFAULT_FILE}: {error}"));
                    return Err(vec![fault]);
                }
            },
        };
        let in_file = |error: ConfigError| match path {
            Some(path) => ConfigError::new(format!("{}: {error}", path.display())),
            None => error,
        };
        let mut table: toml::Table = toml::from_str(&text).map_err(|error| {
            // One line, as the log needs it, without the text of the file.
            let told = error.to_string();
            let place = told.lines().next().unwrap_or_default();
            let reason = error
                .message()
                .replace(" as i128, expected any valid TOML value", ", expected a smaller one")
                .replace('\n', ", ");
            vec![in_file(ConfigError::new(format!("{place}: {reason}")))]
        })?;
        let overlaid = environment.overlay(&mut table).map_err(|error| vec![error])?;
        let named = |error: ConfigError| {
            let blamed = overlaid.iter().find_map(|overlaid| overlaid.blamed(&error));
            blamed.unwrap_or_else(|| in_file(error))
        };
        let (raw, misread) = raw::parse_most(table);
        let directory = path.and_then(Path::parent).unwrap_or(Path::new(""));
        let resolved = resolve::resolve(raw, directory);
        if misread.is_empty() {
            return resolved.map_err(|faults| faults.into_iter().map(named).collect());
        }
        // What was left out may be what another key of the section needs.
        let own =
            |fault: &ConfigError| !misread.iter().any(|known| known.section() == fault.section());
        let others: Vec<_> = resolved.err().unwrap_or_default().into_iter().filter(own).collect();
        Err(misread.into_iter().chain(others).map(named).collect())
    }
}

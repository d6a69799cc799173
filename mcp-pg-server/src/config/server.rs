//! `[server]`: host names, web pages, certificate and limits of HTTP.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::faults::Faults;
use super::raw::ServerKeys;
use super::{ConfigError, auth};
use crate::confirm::StateKey;
use crate::file;

/// How the server is reached over HTTP.
#[derive(Debug, Clone)]
pub struct Server {
    /// Host names that clients may use besides the loopback ones.
    pub allowed_hosts: Vec<String>,
    /// Origins of web pages that may call besides the loopback ones.
    pub allowed_origins: Vec<String>,
    /// Scheme, host and port at which clients reach the server.
    pub public_url: Option<String>,
    /// The files of the certificate and its key; without them, connections are not encrypted.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The maximum number of connections at one time, unless it is the default.
    pub max_connections: Option<usize>,
    /// How long a client may take over a request, unless it is the default.
    pub request_timeout: Option<Duration>,
    /// The key shared by server processes that accept the answers to each other's questions. Without one, each
    /// process makes its own.
    pub state_key: Option<StateKey>,
    /// The file of that key, if it is in one.
    pub state_key_file: Option<PathBuf>,
}

impl Server {
    /// Whether the change to `other` needs a restart. A certificate is replaced without one.
    pub(crate) fn needs_restart(&self, other: &Self) -> bool {
        self.allowed_hosts != other.allowed_hosts
            || self.allowed_origins != other.allowed_origins
            || self.public_url != other.public_url
            || self.certificate.is_some() != other.certificate.is_some()
            || self.request_timeout != other.request_timeout
            || self.max_connections != other.max_connections
            || self.state_key != other.state_key
    }
}

/// Resolves the keys. Relative paths are relative to `directory`.
pub(super) fn resolve(keys: ServerKeys, directory: &Path, faults: &mut Faults) -> Server {
    let state_key_file = keys.state_key_file.map(|path| directory.join(path));
    let state_key_file = state_key_file.filter(|_| keys.state_key.is_none());
    let certificate = certificate(keys.tls_certificate, keys.tls_key, directory);
    let public_url = keys.public_url.as_deref().map(auth::origin).transpose();
    Server {
        certificate: faults.note(certificate).flatten(),
        state_key: faults.note(state_key(keys.state_key, state_key_file.as_deref())).flatten(),
        state_key_file,
        public_url: faults.note(public_url).flatten(),
        max_connections: keys.max_connections.map(NonZeroUsize::get),
        request_timeout: keys.request_timeout.map(|wait| wait.0),
        allowed_hosts: faults
            .note(hosts(keys.allowed_hosts.unwrap_or_default()))
            .unwrap_or_default(),
        allowed_origins: faults
            .note(origins(keys.allowed_origins.unwrap_or_default()))
            .unwrap_or_default(),
    }
}

/// Host names that requests may be addressed to.
fn hosts(given: Vec<String>) -> Result<Vec<String>, ConfigError> {
    match given.iter().find(|host| host.is_empty() || host.contains(['/', '*'])) {
        Some(host) => Err(ConfigError::new(format!(
            "server.allowed_hosts: {host:?} is not a host, such as \"mcp.example.com\""
        ))),
        None => Ok(given),
    }
}

/// Origins of web pages that may call.
fn origins(given: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let is_origin = |origin: &str| {
        let host = origin.trim_end_matches('/').split_once("://").map(|(_, host)| host);
        host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@']))
    };
    match given.iter().find(|origin| !is_origin(origin)) {
        Some(origin) => Err(ConfigError::new(format!(
            "server.allowed_origins: {origin:?} is not an origin, such as \"https://app.example.com\""
        ))),
        None => Ok(given),
    }
}

/// The files of the certificate and its key; both or none must be given.
fn certificate(
    chain: Option<PathBuf>,
    key: Option<PathBuf>,
    directory: &Path,
) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    match (chain, key) {
        (None, None) => Ok(None),
        (Some(chain), Some(key)) => Ok(Some((directory.join(chain), directory.join(key)))),
        _ => Err(ConfigError::new("server: tls_certificate and tls_key are needed together")),
    }
}

/// The shared key, from the environment or otherwise from a file.
fn state_key(text: Option<String>, file: Option<&Path>) -> Result<Option<StateKey>, ConfigError> {
    let (place, text) = match (text, file) {
        (None, None) => return Ok(None),
        (Some(text), _) => ("MCP_PG_STATE_KEY".to_owned(), text),
        (None, Some(path)) => {
            let text = file::read_text(path).map_err(|error| {
                let path = path.display();
                ConfigError::new(format!("server.state_key_file: cannot read {path}: {error}"))
            })?;
            (path.display().to_string(), text)
        }
    };
    let key = text.parse().map_err(|reason| ConfigError::new(format!("{place}: {reason}")))?;
    Ok(Some(key))
}

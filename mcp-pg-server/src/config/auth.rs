//! `[auth]`: the credentials that are accepted over HTTP.

use mcp_pg_core::Settings;

use super::raw::{ApiKeyKeys, AuthSection};
use super::{ConfigError, known_role};
use crate::auth::ApiKey;

/// Who may call over HTTP.
#[derive(Debug, Clone)]
pub struct Auth {
    /// Callers with keys of their own.
    pub api_keys: Vec<ApiKey>,
}

pub(super) fn resolve(keys: AuthSection, settings: &Settings) -> Result<Auth, ConfigError> {
    let mut api_keys: Vec<ApiKey> = Vec::new();
    for (position, keys) in keys.api_keys.unwrap_or_default().into_iter().enumerate() {
        let key = api_key(keys, settings)
            .map_err(|error| ConfigError::new(format!("auth.api_keys[{position}].{error}")))?;
        if api_keys.iter().any(|known| known.name == key.name) {
            return Err(ConfigError::new(format!(
                "auth.api_keys[{position}].name: there are two keys of the name {:?}",
                key.name
            )));
        }
        api_keys.push(key);
    }
    if api_keys.is_empty() {
        return Err(ConfigError::new(
            "auth: accepts no credentials; name [[auth.api_keys]] or [auth.jwt], or leave [auth] out",
        ));
    }
    Ok(Auth { api_keys })
}

fn api_key(keys: ApiKeyKeys, settings: &Settings) -> Result<ApiKey, ConfigError> {
    let missing = |key: &str| ConfigError::new(format!("{key}: is missing"));
    let name = keys.name.filter(|name| !name.is_empty()).ok_or_else(|| missing("name"))?;
    let hash = keys.hash.ok_or_else(|| missing("hash"))?;
    let hash = hash.parse().map_err(|reason| ConfigError::new(format!("hash: {reason}")))?;
    let role = keys.role.ok_or_else(|| missing("role"))?;
    known_role(settings, &role).map_err(|error| ConfigError::new(format!("role: {error}")))?;
    Ok(ApiKey { name, hash, role, claims: keys.claims.unwrap_or_default() })
}

/// Scheme, host and port of `server.public_url`.
pub(super) fn origin(url: &str) -> Result<String, ConfigError> {
    let wrong = || {
        ConfigError::new(format!(
            "server.public_url: {url:?} is not the URL of a host, such as \"https://mcp.example.com\""
        ))
    };
    let trimmed = url.trim_end_matches('/');
    let origin = trimmed.strip_suffix("/mcp").unwrap_or(trimmed);
    let parsed: http::Uri = origin.parse().map_err(|_| wrong())?;
    let plain = matches!(parsed.scheme_str(), Some("https" | "http"))
        && parsed.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && parsed.path() == "/"
        && parsed.query().is_none();
    if plain { Ok(origin.to_owned()) } else { Err(wrong()) }
}

//! `[auth]`: the credentials accepted over HTTP.

use std::path::{Path, PathBuf};

use mcp_pg_core::Settings;

use super::faults::Faults;
use super::raw::{ApiKeyKeys, Audience, AuthSection, JwtKeys};
use super::{ConfigError, known_role};
use crate::auth::{ApiKey, Credentials, Jwt, JwtSettings, KeySource};

/// The authentication of HTTP callers.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The API keys.
    pub api_keys: Vec<ApiKey>,
    /// The issuer of tokens.
    pub jwt: Option<JwtSettings>,
}

impl Auth {
    /// Refuses to start a server that lets nobody in. A running one may have its last credentials removed.
    ///
    /// # Errors
    ///
    /// There are no credentials.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.api_keys.is_empty() && self.jwt.is_none() {
            return Err(ConfigError::new(
                "auth: accepts no credentials; name [[auth.api_keys]] or [auth.jwt], or leave [auth] out",
            ));
        }
        Ok(())
    }

    /// The credentials, with the issuer's keys if those are in a file.
    ///
    /// # Errors
    ///
    /// A key file does not exist or contains no key.
    pub fn credentials(&self) -> Result<Credentials, ConfigError> {
        let jwt = self.jwt.clone().map(|settings| {
            let source = settings.keys.clone();
            Jwt::new(settings).map_err(|reason| match source {
                KeySource::PublicKeyFile(path) | KeySource::JwksFile(path) => {
                    ConfigError::new(format!("auth.jwt: {}: {reason}", path.display()))
                }
                KeySource::JwksUrl(url) => ConfigError::new(format!("auth.jwt: {url}: {reason}")),
            })
        });
        Ok(Credentials::new(self.api_keys.clone(), jwt.transpose()?))
    }
}

/// The roles of the API keys.
pub(super) fn roles_of_keys(keys: &AuthSection) -> impl Iterator<Item = &str> {
    keys.api_keys.iter().flatten().filter_map(|key| key.role.as_deref())
}

/// Resolves the keys. Relative paths are relative to `directory`.
pub(super) fn resolve(
    keys: AuthSection,
    settings: &Settings,
    directory: &Path,
    faults: &mut Faults,
) -> Auth {
    let given = keys.api_keys.unwrap_or_default();
    let jwt = keys.jwt.and_then(|keys| faults.note(jwt(keys, settings, directory)));
    let mut api_keys: Vec<ApiKey> = Vec::new();
    for (position, keys) in given.into_iter().enumerate() {
        let key = api_key(keys, settings)
            .map_err(|error| ConfigError::new(format!("auth.api_keys[{position}].{error}")));
        let Some(key) = faults.note(key) else { continue };
        // Two keys of one caller: while one replaces the other, both are valid.
        let is_another = |known: &ApiKey| {
            known.name == key.name && (known.role != key.role || known.claims != key.claims)
        };
        if api_keys.iter().any(is_another) {
            faults.add(ConfigError::new(format!(
                "auth.api_keys[{position}].name: another key of the name {:?} has another role or other claims",
                key.name
            )));
        }
        // Whoever removes one of them means to revoke the key.
        if let Some(known) = api_keys.iter().find(|known| known.hash == key.hash) {
            faults.add(ConfigError::new(format!(
                "auth.api_keys[{position}].hash: this is the key of {:?}, too",
                known.name
            )));
        }
        api_keys.push(key);
    }
    Auth { api_keys, jwt }
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

fn jwt(keys: JwtKeys, settings: &Settings, directory: &Path) -> Result<JwtSettings, ConfigError> {
    let wrong = |reason: &str| ConfigError::new(format!("auth.jwt.{reason}"));
    let issuer = keys.issuer.filter(|issuer| !issuer.is_empty());
    let issuer = issuer.ok_or_else(|| {
        wrong("issuer: is missing; without it, tokens of any issuer would be accepted")
    })?;
    let audiences = match keys.audience {
        None => Vec::new(),
        Some(Audience::One(name)) => vec![name],
        Some(Audience::Several(names)) => names,
    };
    if audiences.is_empty() || audiences.iter().any(String::is_empty) {
        return Err(wrong(
            "audience: is missing; without it, tokens that were made for other services would be accepted",
        ));
    }
    if keys.algorithms.as_ref().is_some_and(Vec::is_empty) {
        return Err(wrong("algorithms: must name at least one"));
    }
    if let Some(pointer) = &keys.role_claim
        && !pointer.starts_with('/')
    {
        return Err(wrong(&format!(
            "role_claim: {pointer:?} is not a JSON Pointer; write \"/{pointer}\""
        )));
    }
    if keys.role_claim.is_none() && settings.default_role.is_empty() {
        return Err(wrong("role_claim: must be given, since there is no default_role"));
    }
    let file = |path: PathBuf| directory.join(path);
    let source = match (keys.jwks_url, keys.jwks_file, keys.public_key_file) {
        (Some(url), None, None) => KeySource::JwksUrl(jwks_url(&url)?),
        (None, Some(path), None) => KeySource::JwksFile(file(path)),
        (None, None, Some(path)) => KeySource::PublicKeyFile(file(path)),
        _ => {
            return Err(ConfigError::new(
                "auth.jwt: needs exactly one of jwks_url, jwks_file and public_key_file",
            ));
        }
    };
    let mut jwt = JwtSettings::new(issuer, String::new(), source);
    jwt.audiences = audiences;
    jwt.algorithms = keys.algorithms.unwrap_or(jwt.algorithms);
    jwt.role_claim = keys.role_claim;
    jwt.default_role.clone_from(&settings.default_role);
    jwt.roles = settings.roles.iter().map(|role| role.name.clone()).collect();
    jwt.leeway = keys.leeway.map_or(jwt.leeway, |wait| wait.0);
    Ok(jwt)
}

/// Keys that are fetched without TLS could be forged.
fn jwks_url(url: &str) -> Result<http::Uri, ConfigError> {
    let parsed: Option<http::Uri> = url.parse().ok();
    let safe = |url: &http::Uri| match url.scheme_str() {
        Some("https") => url.host().is_some(),
        Some("http") => url.host().is_some_and(is_loopback),
        _ => false,
    };
    parsed.filter(safe).ok_or_else(|| {
        ConfigError::new(format!(
            "auth.jwt.jwks_url: {url:?} must begin with https://, or be on loopback"
        ))
    })
}

/// Whether the host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The scheme, host and port of `server.public_url`.
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

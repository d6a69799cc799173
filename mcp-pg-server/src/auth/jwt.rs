//! JSON Web Tokens (RFC 7519): signature, issuer, audience, lifetime and claims.
//!
//! The crate jsonwebtoken verifies; this file restricts it to one issuer, one algorithm per key, and the required claims.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::rust_crypto;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode, decode_header};
use mcp_pg_core::{Code, Error, Principal};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::key_set::{KeySet, KeySource};
use crate::json;

/// How far the issuer's clock may be ahead or behind, unless settings say otherwise.
const LEEWAY: Duration = Duration::from_secs(30);

/// A signature algorithm. All are asymmetric, so that whoever verifies tokens cannot sign them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSA with SHA-256.
    RS256,
    /// ECDSA on the curve P-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::RS256 => Self::RS256,
            Algorithm::ES256 => Self::ES256,
            Algorithm::EdDSA => Self::EdDSA,
        }
    }
}

/// Which tokens are accepted, and what their claims mean.
///
/// ```
/// use mcp_pg_server::auth::{JwtSettings, KeySource};
///
/// let keys = KeySource::JwksFile("jwks.json".into());
/// let mut settings = JwtSettings::new("https://id.example.com", "mcp-pg", keys);
/// settings.role_claim = Some("/app/role".to_owned());
/// settings.roles = vec!["analyst".to_owned(), "operator".to_owned()];
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JwtSettings {
    /// The `iss` of every token.
    pub issuer: String,
    /// One of these must be among the token's `aud`.
    pub audiences: Vec<String>,
    /// The issuer's public keys.
    pub keys: KeySource,
    /// The accepted signature algorithms.
    pub algorithms: Vec<Algorithm>,
    /// The place of the role in the claims, as a JSON Pointer. A token without it has no role. If absent, roles do not come from
    /// tokens, and every caller has `default_role`.
    pub role_claim: Option<String>,
    /// The role of all callers if there is no `role_claim`.
    pub default_role: String,
    /// The roles of the configuration. If a token lists several roles, exactly one of them must be among these.
    pub roles: Vec<String>,
    /// The tolerated difference between the issuer's clock and this one.
    pub leeway: Duration,
}

impl JwtSettings {
    /// Tokens of this issuer for this audience, by every [`Algorithm`], with a leeway of 30 s. What gives callers their
    /// roles, `role_claim` with `roles` or `default_role`, is to be set.
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, keys: KeySource) -> Self {
        Self {
            issuer: issuer.into(),
            audiences: vec![audience.into()],
            keys,
            algorithms: vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA],
            role_claim: None,
            default_role: String::new(),
            roles: Vec::new(),
            leeway: LEEWAY,
        }
    }
}

/// Verifies the tokens of one issuer.
#[derive(Debug)]
pub struct Jwt {
    settings: JwtSettings,
    keys: Arc<KeySet>,
}

/// The result of verifying a token.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) caller: Principal,
    /// When the token expires, in seconds since 1970.
    pub(super) until: u64,
    /// The generation of the keys that verified it.
    pub(super) generation: u64,
}

impl Jwt {
    /// Accepts tokens as the settings say.
    ///
    /// # Errors
    ///
    /// What is wrong with the key file, as a sentence.
    pub fn new(settings: JwtSettings) -> Result<Self, String> {
        // Where the embedding program has chosen another, that one serves.
        let _ = rust_crypto::DEFAULT_PROVIDER.install_default();
        let keys = KeySet::open(
            settings.keys.clone(),
            settings.algorithms.iter().copied().map(Into::into).collect(),
        )?;
        Ok(Self { settings, keys: Arc::new(keys) })
    }

    /// Whether it accepts the same tokens as another one, apart from keys at the issuer's URL that may have changed.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.settings == other.settings && self.keys.is_as(&other.keys)
    }

    /// Takes over the keys of another one, if both read them from the same place.
    pub(super) fn with_keys_of(&self, other: &Self) -> Self {
        let keys = if self.keys.is_as(&other.keys) { &other.keys } else { &self.keys };
        Self { settings: self.settings.clone(), keys: keys.clone() }
    }

    /// Accepts what this one does, if `running` is of the same issuer, and gives the roles that `running` gives.
    pub(super) fn with_roles_of(&self, running: &Self) -> Option<Self> {
        let Self { settings, keys } = self.with_keys_of(running);
        let known = &running.settings;
        (settings.issuer == known.issuer).then(|| Self {
            settings: JwtSettings {
                role_claim: known.role_claim.clone(),
                default_role: known.default_role.clone(),
                roles: known.roles.clone(),
                ..settings
            },
            keys,
        })
    }

    /// Reads the issuer's keys before the first token needs them.
    pub(super) async fn prepare(&self) {
        // What kept them from being read is in the log.
        let _ = self.keys.keys().await;
    }

    /// Why the issuer's keys cannot be read from their URL, if they are at one and cannot.
    pub(super) async fn unread(&self) -> Option<String> {
        self.keys.unread().await
    }

    /// Whether the issuer's keys, if they have been read, include private or symmetric ones, which can sign tokens.
    pub(super) fn has_private_keys(&self) -> bool {
        self.keys.has_private()
    }

    /// The generation of the current keys; `None` if they have to be read first.
    pub(super) fn generation(&self) -> Option<u64> {
        self.keys.generation()
    }

    /// The generation of the keys, which are read again if they are old; `None` before the first read.
    pub(super) async fn renewed_generation(&self) -> Option<u64> {
        match self.keys.is_read() {
            true => self.keys.keys().await.ok().map(|keys| keys.generation),
            false => None,
        }
    }

    /// Verifies a token.
    ///
    /// # Errors
    ///
    /// `unauthenticated`; another code if the issuer's keys cannot be read.
    pub(super) async fn verify(&self, token: &str) -> Result<Verified, Error> {
        let settings = &self.settings;
        let header = decode_header(token).map_err(|_| invalid("the token is not valid"))?;
        // A header that must be understood and is not (RFC 7515, 4.1.11).
        if header.crit.is_some() {
            return Err(invalid("the token has critical headers"));
        }
        if !settings.algorithms.iter().any(|known| header.alg == (*known).into()) {
            return Err(invalid("the token's algorithm is not accepted"));
        }
        let mut keys = self.keys.keys().await?;
        if keys.of(&header).next().is_none() {
            keys = self.keys.newer_than(&keys).await;
        }
        let mut validation = Validation::new(header.alg);
        validation.leeway = settings.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&[&settings.issuer]);
        validation.set_audience(&settings.audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        let mut refusal = None;
        for key in keys.of(&header) {
            match decode::<Map<String, Value>>(token, key, &validation) {
                Ok(verified) => {
                    return self.accept(token, verified.claims, keys.generation);
                }
                // If another key of the same id signed it, something else is wrong with it.
                Err(error) if refusal.is_some() && *error.kind() == ErrorKind::InvalidSignature => {
                }
                Err(error) => refusal = Some(reason(error.kind())),
            }
        }
        Err(invalid(refusal.unwrap_or("the token is signed by an unknown key")))
    }

    fn accept(
        &self,
        token: &str,
        claims: Map<String, Value>,
        generation: u64,
    ) -> Result<Verified, Error> {
        // Of two claims of one name, who issued the token may mean the other.
        let mut parts = token.split('.').take(2).map(|part| URL_SAFE_NO_PAD.decode(part));
        if !parts.all(|part| part.is_ok_and(|json| json::check(&json, usize::MAX).is_ok())) {
            return Err(invalid("the token has a name twice"));
        }
        // jsonwebtoken would take a list that contains the issuer.
        if claims.get("iss").and_then(Value::as_str) != Some(&self.settings.issuer) {
            return Err(invalid("the token is of another issuer"));
        }
        let expires = claims.get("exp").and_then(Value::as_f64).unwrap_or_default();
        let subject = subject(&claims, token)
            .ok_or_else(|| invalid("the token's sub or client_id is not a text or a number"))?;
        let caller = Principal { subject, role: self.role(&claims), method: "jwt".into(), claims };
        let until = (expires as u64).saturating_add(self.settings.leeway.as_secs());
        Ok(Verified { caller, until, generation })
    }

    /// The role that the claims name; empty, which is the name of no role, if they name none or several.
    fn role(&self, claims: &Map<String, Value>) -> String {
        let Some(pointer) = &self.settings.role_claim else {
            return self.settings.default_role.clone();
        };
        match Value::Object(claims.clone()).pointer(pointer) {
            Some(Value::String(role)) => role.clone(),
            Some(Value::Array(roles)) => {
                let known = |role: &&str| self.settings.roles.iter().any(|known| known == role);
                let mut known = roles.iter().filter_map(Value::as_str).filter(known);
                match (known.next(), known.next()) {
                    (Some(role), None) => role.to_owned(),
                    _ => String::new(),
                }
            }
            _ => String::new(),
        }
    }
}

/// The subject of the claims. Without one, it is derived from the token, since limits and streams are kept per caller.
fn subject(claims: &Map<String, Value>, token: &str) -> Option<String> {
    let given = |name: &str| claims.get(name).filter(|name| !name.is_null());
    match given("sub").or_else(|| given("client_id")) {
        Some(Value::String(name)) => Some(name.clone()).filter(|name| !name.is_empty()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) => None,
        None => {
            let digest = Sha256::digest(token);
            Some(
                digest
                    .iter()
                    .take(8)
                    .fold("token ".to_owned(), |name, byte| format!("{name}{byte:02x}")),
            )
        }
    }
}

fn invalid(reason: &str) -> Error {
    Error::new(Code::Unauthenticated, reason)
}

fn reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token is not valid yet",
        ErrorKind::InvalidIssuer => "the token is of another issuer",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "the token lacks one of exp, iss and aud",
        ErrorKind::InvalidSignature => "the token's signature is wrong",
        _ => "the token is not valid",
    }
}

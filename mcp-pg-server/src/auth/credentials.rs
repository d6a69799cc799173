//! The credentials that the configuration accepts.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::request::Parts;
use mcp_pg_core::{Code, Error, Principal};

use super::token_cache::TokenCache;
use super::{ApiKey, Authenticator, Jwt, bearer};

/// The maximum size of a token, in bytes.
const TOKEN_MOST: usize = 16_384;

/// The API keys and the token issuer of a configuration, as an [`Authenticator`].
///
/// In an [`ArcSwap`], they can be replaced while the server runs. Requests after that need the new ones.
#[derive(Debug)]
pub struct Credentials {
    api_keys: Vec<ApiKey>,
    issuer: Option<Arc<Issuer>>,
}

/// The issuer of tokens, and those that were verified a moment ago.
#[derive(Debug)]
struct Issuer {
    jwt: Jwt,
    verified: TokenCache,
}

impl Credentials {
    /// Accepts these keys, and the tokens of this issuer.
    pub fn new(api_keys: Vec<ApiKey>, jwt: Option<Jwt>) -> Self {
        let issuer = jwt.map(|jwt| Arc::new(Issuer { jwt, verified: TokenCache::default() }));
        Self { api_keys, issuer }
    }

    /// Whether nobody has any.
    pub(crate) fn is_empty(&self) -> bool {
        self.api_keys.is_empty() && self.issuer.is_none()
    }

    /// The credentials that replace `running` ones, with what those know of the same issuer; `None` if both accept the same.
    pub(crate) fn instead_of(self, running: &Self) -> Option<Self> {
        let issuer = match (self.issuer, &running.issuer) {
            (Some(new), Some(known)) if new.jwt.is_as(&known.jwt) => Some(known.clone()),
            (Some(new), Some(known)) => {
                let jwt = new.jwt.with_keys_of(&known.jwt);
                Some(Arc::new(Issuer { jwt, verified: TokenCache::default() }))
            }
            (new, _) => new,
        };
        let same_issuer = match (&issuer, &running.issuer) {
            (Some(new), Some(known)) => Arc::ptr_eq(new, known),
            (new, known) => new.is_none() && known.is_none(),
        };
        let same = same_issuer && self.api_keys == running.api_keys;
        (!same).then_some(Self { api_keys: self.api_keys, issuer })
    }

    /// The `running` credentials without those that are gone from these, with the rights that they have; `None` if all are
    /// still there.
    pub(crate) fn left_of(&self, running: &Self) -> Option<Self> {
        let kept = |key: &&ApiKey| self.api_keys.iter().any(|new| new.hash == key.hash);
        let api_keys = running.api_keys.iter().filter(kept).cloned().collect();
        let jwt = match (&self.issuer, &running.issuer) {
            (Some(new), Some(known)) => new.jwt.with_roles_of(&known.jwt),
            _ => None,
        };
        Self::new(api_keys, jwt).instead_of(running)
    }

    /// Reads the issuer's keys before the first token needs them.
    pub async fn prepare(&self) {
        if let Some(issuer) = &self.issuer {
            issuer.jwt.prepare().await;
        }
    }

    /// Why the issuer's keys cannot be read from their URL, if they are at one and cannot.
    pub(crate) async fn unread(&self) -> Option<String> {
        self.issuer.as_ref()?.jwt.unread().await
    }

    /// A number that changes with the issuer's keys, which are read again if they are old; `None` before the first read, or without
    /// an issuer.
    pub(crate) async fn generation(&self) -> Option<u64> {
        self.issuer.as_ref()?.jwt.renewed_generation().await
    }

    /// Whether the issuer's keys, if they have been read, include private or symmetric ones.
    pub fn has_private_keys(&self) -> bool {
        self.issuer.as_ref().is_some_and(|issuer| issuer.jwt.has_private_keys())
    }

    async fn caller(&self, token: &str) -> Result<Principal, Error> {
        if token.len() > TOKEN_MOST {
            return Err(Error::new(Code::Unauthenticated, "the token is too long"));
        }
        if let Some(key) = self.api_keys.iter().find(|key| key.hash.matches(token)) {
            return Ok(key.principal());
        }
        match &self.issuer {
            Some(issuer) => issuer.caller(token).await,
            None => Err(Error::new(Code::Unauthenticated, "the token is not valid")),
        }
    }
}

impl Issuer {
    async fn caller(&self, token: &str) -> Result<Principal, Error> {
        let now = jsonwebtoken::get_current_timestamp();
        if let Some(generation) = self.jwt.generation()
            && let Some(caller) = self.verified.get(token, generation, now)
        {
            return Ok(caller);
        }
        let verified = self.jwt.verify(token).await?;
        let caller = verified.caller.clone();
        self.verified.put(token, verified, now);
        Ok(caller)
    }
}

#[async_trait]
impl Authenticator for Credentials {
    async fn authenticate(&self, request: &Parts) -> Result<Principal, Error> {
        match bearer(request) {
            Some(token) => self.caller(token).await,
            None => Err(Error::new(Code::Unauthenticated, "the request has no bearer token")),
        }
    }

    fn carries_credentials(&self, request: &Parts) -> bool {
        request.headers.contains_key(AUTHORIZATION)
    }
}

#[async_trait]
impl Authenticator for ArcSwap<Credentials> {
    async fn authenticate(&self, request: &Parts) -> Result<Principal, Error> {
        self.load_full().authenticate(request).await
    }

    fn carries_credentials(&self, request: &Parts) -> bool {
        self.load().carries_credentials(request)
    }
}

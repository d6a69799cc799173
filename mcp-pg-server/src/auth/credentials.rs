//! The credentials that the configuration accepts.

use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::request::Parts;
use mcp_pg_core::{Code, Error, Principal};

use super::token_cache::TokenCache;
use super::{ApiKey, Authenticator, Jwt, bearer};

/// Longest token that is looked at, in bytes.
const TOKEN_MOST: usize = 16_384;

/// The API keys and the token issuer of a configuration, as an [`Authenticator`].
///
/// In an [`ArcSwap`] they can be replaced while the server runs: from the next request on, only the new ones
/// count.
#[derive(Debug)]
pub struct Credentials {
    api_keys: Vec<ApiKey>,
    jwt: Option<Jwt>,
    verified: TokenCache,
}

impl Credentials {
    /// Accepts these.
    pub fn new(api_keys: Vec<ApiKey>, jwt: Option<Jwt>) -> Self {
        Self { api_keys, jwt, verified: TokenCache::default() }
    }

    /// Reads the token issuer's keys before the first token asks for them.
    pub async fn prepare(&self) {
        if let Some(jwt) = &self.jwt {
            jwt.prepare().await;
        }
    }

    async fn caller(&self, token: &str) -> Result<Principal, Error> {
        if token.len() > TOKEN_MOST {
            return Err(Error::new(Code::Unauthenticated, "the token is too long"));
        }
        if let Some(key) = self.api_keys.iter().find(|key| key.hash.matches(token)) {
            return Ok(key.principal());
        }
        match &self.jwt {
            Some(jwt) => self.verify(jwt, token).await,
            None => Err(Error::new(Code::Unauthenticated, "the token is not valid")),
        }
    }

    async fn verify(&self, jwt: &Jwt, token: &str) -> Result<Principal, Error> {
        let now = jsonwebtoken::get_current_timestamp();
        if let Some(generation) = jwt.generation()
            && let Some(caller) = self.verified.get(token, generation, now)
        {
            return Ok(caller);
        }
        let verified = jwt.verify(token).await?;
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
            None => Err(Error::new(Code::Unauthenticated, "the request brings no bearer token")),
        }
    }
}

#[async_trait]
impl Authenticator for ArcSwap<Credentials> {
    async fn authenticate(&self, request: &Parts) -> Result<Principal, Error> {
        self.load_full().authenticate(request).await
    }
}

//! The credentials that the configuration accepts.

use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::request::Parts;
use mcp_pg_core::{Code, Error, Principal};

use super::{ApiKey, Authenticator, bearer};

/// Longest token that is looked at, in bytes.
const TOKEN_MOST: usize = 16_384;

/// The API keys of a configuration, as an [`Authenticator`].
///
/// In an [`ArcSwap`] they can be replaced while the server runs: from the next request on, only the new ones
/// count.
#[derive(Debug)]
pub struct Credentials {
    api_keys: Vec<ApiKey>,
}

impl Credentials {
    /// Accepts these.
    pub fn new(api_keys: Vec<ApiKey>) -> Self {
        Self { api_keys }
    }

    async fn caller(&self, token: &str) -> Result<Principal, Error> {
        if token.len() > TOKEN_MOST {
            return Err(Error::new(Code::Unauthenticated, "the token is too long"));
        }
        match self.api_keys.iter().find(|key| key.hash.matches(token)) {
            Some(key) => Ok(key.principal()),
            None => Err(Error::new(Code::Unauthenticated, "the token is not valid")),
        }
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

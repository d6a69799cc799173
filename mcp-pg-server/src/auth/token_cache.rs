//! A cache of verified tokens: verifying a signature costs a hundred times as much as a lookup.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mcp_pg_core::Principal;
use sha2::{Digest, Sha256};

use super::jwt::Verified;

/// The maximum number of cached tokens.
const TOKENS_MOST: usize = 10_000;

/// Verified tokens by their SHA-256, so that memory does not contain the tokens themselves.
#[derive(Debug, Default)]
pub(super) struct TokenCache(Mutex<HashMap<[u8; 32], Verified>>);

impl TokenCache {
    /// The caller of a token that was verified with keys of this generation, and is valid at `now` (seconds since 1970).
    pub(super) fn get(&self, token: &str, generation: u64, now: u64) -> Option<Principal> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens
            .get(&digest(token))
            .filter(|known| known.generation == generation && now < known.until)
            .map(|known| known.caller.clone())
    }

    /// Caches a verified token.
    pub(super) fn put(&self, token: &str, verified: Verified, now: u64) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS_MOST {
            tokens.retain(|_, known| now < known.until);
        }
        if tokens.len() >= TOKENS_MOST {
            tokens.clear();
        }
        tokens.insert(digest(token), verified);
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(subject: &str) -> Verified {
        Verified { caller: Principal::new(subject, "analyst"), until: 100, generation: 1 }
    }

    #[test]
    fn a_token_is_known_until_it_expires_or_the_keys_change() {
        let cache = TokenCache::default();
        cache.put("a", verified("ann"), 0);
        assert_eq!(cache.get("a", 1, 99).unwrap().subject, "ann");
        assert_eq!(cache.get("b", 1, 99), None);
        assert_eq!(cache.get("a", 1, 100), None);
        assert_eq!(cache.get("a", 2, 99), None);
    }

    #[test]
    fn no_more_tokens_than_the_bound_are_remembered() {
        let cache = TokenCache::default();
        for token in 0..=TOKENS_MOST {
            cache.put(&token.to_string(), verified("ann"), 0);
        }
        assert!(cache.0.lock().unwrap().len() <= TOKENS_MOST);
        assert!(cache.get(&TOKENS_MOST.to_string(), 1, 0).is_some());
    }
}

//! A cache of verified tokens: verifying a signature costs a hundred times as much as a lookup.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use mcp_pg_core::Principal;
use sha2::{Digest, Sha256};

use super::jwt::Verified;

/// The maximum number of cached tokens, and of their bytes: what is kept of one is about as long as the token.
const TOKENS_MOST: usize = 10_000;
const BYTES_MOST: usize = 16 << 20;

/// Verified tokens by their SHA-256, so that memory does not contain the tokens themselves.
#[derive(Debug, Default)]
pub(super) struct TokenCache(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    tokens: HashMap<[u8; 32], (Verified, usize)>,
    bytes: usize,
}

impl Known {
    fn has_room(&self, bytes: usize) -> bool {
        self.tokens.len() < TOKENS_MOST && self.bytes + bytes <= BYTES_MOST
    }

    fn retain(&mut self, keep: impl Fn(&Verified) -> bool) {
        self.tokens.retain(|_, (known, _)| keep(known));
        self.bytes = self.tokens.values().map(|(_, bytes)| bytes).sum();
    }
}

impl TokenCache {
    /// The caller of a token that was verified with keys of this generation, and is valid at `now` (seconds since 1970).
    pub(super) fn get(&self, token: &str, generation: u64, now: u64) -> Option<Principal> {
        // Before the lock, which all callers share.
        let digest = digest(token);
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, _) = known.tokens.get(&digest)?;
        let valid = known.generation == generation && now < known.until;
        valid.then(|| known.caller.clone())
    }

    /// Caches a verified token.
    pub(super) fn put(&self, token: &str, verified: Verified, now: u64) {
        let (digest, bytes) = (digest(token), token.len());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.has_room(bytes) {
            known.retain(|token| now < token.until);
        }
        if !known.has_room(bytes) {
            known.retain(|_| false);
        }
        known.bytes += bytes;
        if let Some((_, before)) = known.tokens.insert(digest, (verified, bytes)) {
            known.bytes -= before;
        }
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
        assert!(cache.0.lock().unwrap().tokens.len() <= TOKENS_MOST);
        assert!(cache.get(&TOKENS_MOST.to_string(), 1, 0).is_some());
        // Long ones are fewer.
        for token in 0..1_500 {
            cache.put(&format!("{token:016384}"), verified("ann"), 0);
            let known = cache.0.lock().unwrap();
            assert!(known.tokens.keys().len() > 0 && known.bytes <= BYTES_MOST);
        }
        assert!(cache.0.lock().unwrap().tokens.len() <= BYTES_MOST / 16_384);
    }
}

//! API keys: random secrets. The configuration contains only their hashes.
//!
//! A key is 256 random bits, so nobody can try them all, and a slow hash would protect nothing; the hash is
//! HMAC-SHA-256 keyed with a salt of its own, so that equal keys have different hashes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use mcp_pg_core::Principal;
use serde_json::{Map, Value};
use sha2::Sha256;

/// The prefix of each hash.
const SCHEME: &str = "hmac-sha256";
/// The prefix of generated keys, by which scanners find leaked secrets.
const PREFIX: &str = "mcp_pg_";

/// An accepted key, and the caller it identifies.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// The caller's name, for the audit log and the limits.
    pub name: String,
    /// The key's hash.
    pub hash: KeyHash,
    /// The role whose grants apply.
    pub role: String,
    /// Claims for row conditions, presets and session settings. `sub` is the name, unless it is among them.
    pub claims: Map<String, Value>,
}

impl ApiKey {
    /// The caller whose key this is.
    pub(super) fn principal(&self) -> Principal {
        let mut claims = self.claims.clone();
        claims.entry("sub").or_insert_with(|| self.name.clone().into());
        Principal {
            subject: self.name.clone(),
            role: self.role.clone(),
            method: "api_key".into(),
            claims,
        }
    }
}

/// `hmac-sha256:SALT:MAC`, both parts in base64url.
///
/// ```
/// use mcp_pg_server::auth::{KeyHash, generate_key};
///
/// let key = generate_key()?;
/// let hash: KeyHash = KeyHash::new(&key)?.to_string().parse().unwrap();
/// assert!(hash.matches(&key));
/// assert!(!hash.matches("another"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHash {
    salt: [u8; 16],
    mac: [u8; 32],
}

impl KeyHash {
    /// Hashes a key with a new salt.
    ///
    /// # Errors
    ///
    /// The operating system has no random numbers.
    pub fn new(key: &str) -> std::io::Result<Self> {
        let salt = random()?;
        Ok(Self { salt, mac: mac(&salt, key).finalize().into_bytes().into() })
    }

    /// Whether this is the key's hash, in constant time.
    pub fn matches(&self, key: &str) -> bool {
        mac(&self.salt, key).verify_slice(&self.mac).is_ok()
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        write!(f, "{SCHEME}:{}:{}", text(&self.salt), text(&self.mac))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)
    }
}

impl FromStr for KeyHash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (salt, mac) = text.strip_prefix(SCHEME)?.strip_prefix(':')?.split_once(':')?;
            Some(Self { salt: bytes(salt)?, mac: bytes(mac)? })
        };
        read().ok_or("is not a hash that `mcp-pg-server hash-key` printed")
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn mac(salt: &[u8; 16], key: &str) -> Hmac<Sha256> {
    // SHA-256's block is longer than the salt, so the salt is the HMAC's key as it is.
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..salt.len()].copy_from_slice(salt);
    <Hmac<Sha256> as KeyInit>::new(&block).chain_update(key)
}

fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(bytes)
}

/// A new key: 256 random bits.
///
/// # Errors
///
/// The operating system has no random numbers.
pub fn generate_key() -> std::io::Result<String> {
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_only_its_own_key() {
        let key = generate_key().unwrap();
        assert_ne!(key, generate_key().unwrap());
        let (hash, again) = (KeyHash::new(&key).unwrap(), KeyHash::new(&key).unwrap());
        assert_ne!(hash, again, "each has a salt of its own");
        for hash in [hash, again] {
            let text = hash.to_string();
            assert!(!text.contains(&key) && !format!("{hash:?}").contains(':'));
            let read: KeyHash = text.parse().unwrap();
            assert!(read.matches(&key));
            for other in ["", &key[1..], &key.to_uppercase(), &text] {
                assert!(!read.matches(other), "{other}");
            }
        }
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        for text in
            ["", "hmac-sha256", "hmac-sha256::", "sha256:AAAA:AAAA", "hmac-sha256:AAAA:AAAA"]
        {
            text.parse::<KeyHash>().unwrap_err();
        }
    }
}

//! The operator's encryption keys.

use std::fmt;

use aes_gcm_siv::{Aes256GcmSiv, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::Hmac;
use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};

/// Keys by id. The last one encrypts, all of them decrypt; a separate one is for blind indexes.
pub struct KeyRing {
    keys: Vec<(String, Aes256GcmSiv)>,
    index: Option<Hmac<Sha256>>,
    /// A digest by which rings are compared without their keys.
    fingerprint: [u8; 32],
}

/// The id of the key for blind indexes.
const INDEX: &str = "index";
const ID_MOST: usize = 32;

impl KeyRing {
    /// Parses `id:key` pairs, separated by white space or commas; `#` begins a comment. A key is 32 bytes in base64. The key
    /// called `index` is for blind indexes.
    ///
    /// ```
    /// use mcp_pg_core::cipher::KeyRing;
    ///
    /// let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    /// let ring = KeyRing::parse(&format!("2026-01:{key} # the old one\n2026-11:{key}")).unwrap();
    /// assert_eq!(format!("{ring:?}"), r#"KeyRing(["2026-01", "2026-11"])"#);
    /// assert!(KeyRing::parse("2026-01:short").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// `invalid_value`, with the position of the pair. The message never contains a key.
    pub fn parse(text: &str) -> Result<Self> {
        let pairs = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default())
            .flat_map(|line| line.split(|c: char| c.is_whitespace() || c == ','))
            .filter(|pair| !pair.is_empty());
        let mut ring =
            Self { keys: Vec::new(), index: None, fingerprint: Sha256::digest(text).into() };
        for (position, pair) in pairs.enumerate() {
            let wrong = |reason: &str| {
                Error::new(Code::InvalidValue, format!("key {}: {reason}", position + 1))
            };
            let (id, key) = pair.split_once(':').ok_or_else(|| wrong("write id:key"))?;
            let named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if id.is_empty() || id.len() > ID_MOST || !id.chars().all(named) {
                return Err(wrong("an id has letters, digits, - and _, 32 at most"));
            }
            let bytes = STANDARD.decode(key).unwrap_or_default();
            let size = || wrong("a key is 32 bytes in base64: openssl rand -base64 32");
            if bytes.len() != 32 {
                return Err(size());
            }
            if ring.key(id).is_some() || id == INDEX && ring.index.is_some() {
                return Err(wrong("two keys have the same id"));
            }
            if id == INDEX {
                ring.index = Some(hmac::KeyInit::new_from_slice(&bytes).map_err(|_| size())?);
            } else {
                let key = Aes256GcmSiv::new_from_slice(&bytes).map_err(|_| size())?;
                ring.keys.push((id.to_owned(), key));
            }
        }
        if ring.keys.is_empty() {
            return Err(Error::new(Code::InvalidValue, "there is no key to encrypt with"));
        }
        Ok(ring)
    }

    /// Whether there is a key for blind indexes.
    pub fn can_index(&self) -> bool {
        self.index.is_some()
    }

    pub(super) fn newest(&self) -> Option<(&str, &Aes256GcmSiv)> {
        self.keys.last().map(|(id, key)| (id.as_str(), key))
    }

    pub(super) fn key(&self, id: &str) -> Option<&Aes256GcmSiv> {
        self.keys.iter().find(|(known, _)| known == id).map(|(_, key)| key)
    }

    pub(super) fn index(&self) -> Option<&Hmac<Sha256>> {
        self.index.as_ref()
    }
}

impl PartialEq for KeyRing {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.keys.iter().map(|(id, _)| id.as_str()).collect();
        f.debug_tuple("KeyRing").field(&format_args!("{ids:?}")).finish()
    }
}

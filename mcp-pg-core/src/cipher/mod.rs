//! Encryption of single values: a ring of keys, and the cipher of one column; keys that are made from secrets.
//!
//! AES-256-GCM-SIV with a random nonce, so that equal values look different, bound to the column that
//! they were written to. Knows bytes; not types, tables or roles.

mod derived;
mod ring;

use aes_gcm_siv::Nonce;
use aes_gcm_siv::aead::{Aead, Generate, Payload};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac;

pub use derived::DerivedKey;
pub use ring::KeyRing;

use crate::error::{Code, Error, Result};

/// The prefix of encrypted values; the key's id and the encrypted bytes follow, separated by colons.
const PREFIX: &str = "mcp1:";
const NONCE: usize = 12;

/// Encrypts and decrypts the values of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnCipher {
    ring: std::sync::Arc<KeyRing>,
    /// The column's schema, table and name, each preceded by its length.
    column: Vec<u8>,
}

impl ColumnCipher {
    /// The cipher of `schema.table.column`.
    pub fn new(ring: std::sync::Arc<KeyRing>, schema: &str, table: &str, column: &str) -> Self {
        let mut name = Vec::new();
        for part in [schema, table, column] {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Self { ring, column: name }
    }

    /// Encrypts a value under the newest key.
    ///
    /// # Errors
    ///
    /// `internal` if the operating system has no random numbers.
    pub fn seal(&self, plain: &[u8]) -> Result<String> {
        let failed = || Error::new(Code::Internal, "a value cannot be encrypted");
        let (id, key) = self.ring.newest().ok_or_else(failed)?;
        let nonce = Nonce::try_generate().map_err(|_| failed())?;
        let payload = Payload { msg: plain, aad: &self.associated(id) };
        let mut bytes = nonce.to_vec();
        bytes.extend(key.encrypt(&nonce, payload).map_err(|_| failed())?);
        Ok(format!("{PREFIX}{id}:{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Decrypts a value that [`ColumnCipher::seal`] encrypted for this column; `None` for anything else.
    pub fn open(&self, sealed: &str) -> Option<Vec<u8>> {
        let (id, text) = sealed.strip_prefix(PREFIX)?.split_once(':')?;
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        let nonce = Nonce::try_from(nonce).ok()?;
        let payload = Payload { msg: sealed, aad: &self.associated(id) };
        self.ring.key(id)?.decrypt(&nonce, payload).ok()
    }

    /// The blind index of a value: an HMAC that is the same for equal values of this column. `None` if the ring has no index
    /// key.
    pub fn index(&self, plain: &[u8]) -> Option<[u8; 32]> {
        let mut mac = self.ring.index()?.clone();
        mac.update(&self.column);
        mac.update(plain);
        Some(mac.finalize().into_bytes().into())
    }

    fn associated(&self, id: &str) -> Vec<u8> {
        let mut bytes = PREFIX.as_bytes().to_vec();
        bytes.extend_from_slice(&self.column);
        bytes.extend_from_slice(id.as_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn ring(text: &str) -> Arc<KeyRing> {
        Arc::new(KeyRing::parse(text).unwrap())
    }

    fn key(byte: u8) -> String {
        base64::engine::general_purpose::STANDARD.encode([byte; 32])
    }

    #[test]
    fn a_value_opens_only_where_it_was_sealed() {
        let ring = ring(&format!("a:{}", key(1)));
        let ssn = ColumnCipher::new(ring.clone(), "public", "person", "ssn");
        let sealed = ssn.seal(b"078-05-1120").unwrap();
        assert!(sealed.starts_with("mcp1:a:") && !sealed.contains("078"));
        assert_ne!(sealed, ssn.seal(b"078-05-1120").unwrap());
        assert_eq!(ssn.open(&sealed).unwrap(), b"078-05-1120");
        for (schema, table, column) in
            [("public", "person", "iban"), ("public", "other", "ssn"), ("publicp", "erson", "ssn")]
        {
            assert_eq!(ColumnCipher::new(ring.clone(), schema, table, column).open(&sealed), None);
        }
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let cipher = ColumnCipher::new(ring(&format!("a:{}", key(1))), "s", "t", "c");
        let sealed = cipher.seal(b"").unwrap();
        assert_eq!(cipher.open(&sealed).unwrap(), b"");
        for (position, _) in sealed.char_indices() {
            let mut changed = sealed.clone();
            let other = if &sealed[position..=position] == "A" { "B" } else { "A" };
            changed.replace_range(position..=position, other);
            // The last character of base64 has bits that stand for nothing: the decoder refuses those.
            assert_eq!(cipher.open(&changed), None, "{changed}");
        }
        for other in ["", "mcp1:", "mcp1:a", "mcp1:a:", "mcp1:b:AAAA", "plain text"] {
            assert_eq!(cipher.open(other), None, "{other}");
        }
    }

    #[test]
    fn old_keys_read_and_the_last_one_writes() {
        let old = ColumnCipher::new(ring(&format!("a:{}", key(1))), "s", "t", "c");
        let sealed = old.seal(b"x").unwrap();
        let new = ring(&format!("# ours\na:{}\nb:{}, index:{}", key(1), key(2), key(3)));
        let new = ColumnCipher::new(new, "s", "t", "c");
        assert_eq!(new.open(&sealed).unwrap(), b"x");
        assert!(new.seal(b"x").unwrap().starts_with("mcp1:b:"));
        assert_eq!(new.index(b"x"), new.index(b"x"));
        assert_ne!(new.index(b"x"), new.index(b"y"));
        assert_eq!(old.index(b"x"), None);
    }
}

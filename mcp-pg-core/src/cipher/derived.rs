//! Key derivation: fast from random secrets, slow from passwords.

use std::fmt;
use std::sync::{Arc, LazyLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

/// The number of PBKDF2 iterations: trying passwords takes as long for each.
const ROUNDS: u32 = 600_000;

/// A key that may still be computed in the background.
#[derive(Clone)]
pub struct DerivedKey(Arc<LazyLock<Key, Box<dyn FnOnce() -> Key + Send + Sync>>>);

type Key = [u8; 32];

impl DerivedKey {
    /// Derives a key from a random secret of any length.
    pub fn of_secret(secret: &[u8]) -> Self {
        Self::of(Sha256::digest(secret).into())
    }

    /// Derives a key from a password, which a person may have chosen. The `salt` names the purpose and place. The work takes some
    /// tenths of a second, once, and begins now.
    pub fn of_password(password: &[u8], salt: Vec<u8>) -> Self {
        let password = password.to_vec();
        let key = Self::made(move || stretched(&password, &salt, ROUNDS));
        key.prepare();
        key
    }

    /// Uses this key as it is.
    pub fn of(key: Key) -> Self {
        Self::made(move || key)
    }

    fn made(make: impl FnOnce() -> Key + Send + Sync + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }

    /// Computes the key on its own thread before it is needed: a task that computed it would block others.
    fn prepare(&self) {
        let key = self.clone();
        std::thread::spawn(move || {
            key.bytes();
        });
    }

    /// The key's bytes; waits until they are computed.
    pub fn bytes(&self) -> &Key {
        &self.0
    }
}

impl PartialEq for DerivedKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.bytes() == other.bytes()
    }
}

impl Eq for DerivedKey {}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey")
    }
}

/// PBKDF2 with HMAC-SHA-256 (RFC 8018); its first block is the key.
fn stretched(password: &[u8], salt: &[u8], rounds: u32) -> Key {
    let mut key = [0; 32];
    // A key of any length will do for an HMAC.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(password) else { return key };
    let mut last = [salt, &1_u32.to_be_bytes()].concat();
    for _ in 0..rounds {
        let round = mac.clone().chain_update(&last).finalize().into_bytes();
        key.iter_mut().zip(&round).for_each(|(byte, more)| *byte ^= more);
        last.clear();
        last.extend_from_slice(&round);
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_stretched_as_others_do_it() {
        for (rounds, expected) in [
            (1, "120fb6cffcf8b32c43e7225256c4f837a86548c92ccc35480805987cb70be17b"),
            (2, "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"),
            (4096, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a"),
        ] {
            let key = stretched(b"password", b"salt", rounds);
            let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, expected, "{rounds}");
        }
    }

    #[test]
    fn a_key_is_made_ahead_of_its_use() {
        let (sender, made) = std::sync::mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let key = DerivedKey::made(move || {
            let thread = std::thread::current().id();
            sender.lock().unwrap().send(thread).unwrap();
            [7; 32]
        });
        key.prepare();
        assert_ne!(made.recv(), Ok(std::thread::current().id()));
        assert_eq!(key.bytes(), &[7; 32]);
    }

    #[test]
    fn derived_keys_differ_by_password_and_purpose() {
        let key = |password: &[u8], salt: &str| {
            *DerivedKey::of_password(password, salt.as_bytes().to_vec()).bytes()
        };
        let one = key(b"pw", "cursor");
        assert_ne!(one, key(b"pw2", "cursor"));
        assert_ne!(one, key(b"pw", "mask"));
        assert_ne!(one, *DerivedKey::of_secret(b"pw").bytes());
    }
}

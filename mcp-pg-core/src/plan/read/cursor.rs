//! Cursors: where a page ended. They are encrypted, since they contain values of rows, and bound to the query and the role.

use std::fmt;

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, KeyInit, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::cipher::DerivedKey;
use crate::error::{Code, Error, Result};
use crate::plan::Scope;

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Cursor {
    /// After the row with these values of the sort keys.
    #[serde(rename = "k")]
    Key(Vec<Value>),
    /// After this number of rows.
    #[serde(rename = "o")]
    Offset(u64),
    /// This number of rows after the row with these values of the sort keys.
    #[serde(rename = "p")]
    Past(Vec<Value>, u64),
}

/// The key that encrypts cursors.
#[derive(Clone)]
pub struct CursorKey(DerivedKey);

/// A constant nonce: with AES-GCM-SIV, it reveals only whether two cursors are equal.
const NONCE: [u8; 12] = [0; 12];

impl CursorKey {
    /// Derives the key from a secret that all processes serving the same database share.
    pub fn new(secret: &[u8]) -> Self {
        Self(DerivedKey::of_secret(secret))
    }

    /// Derives the key from a password. This is slow on purpose.
    pub(crate) fn of_password(password: &[u8], salt: Vec<u8>) -> Self {
        Self(DerivedKey::of_password(password, salt))
    }

    fn cipher(&self) -> Aes256GcmSiv {
        Aes256GcmSiv::new(self.0.bytes().into())
    }

    /// Encrypts a cursor.
    ///
    /// # Errors
    ///
    /// `internal`, which no cursor of a plan leads to.
    pub fn seal(&self, cursor: &Cursor, binding: &[u8]) -> Result<String> {
        let failed = || Error::new(Code::Internal, "a cursor cannot be written");
        let plain = serde_json::to_vec(cursor).map_err(|error| failed().caused_by(error))?;
        let payload = Payload { msg: &plain, aad: binding };
        let sealed = self.cipher().encrypt(&Nonce::from(NONCE), payload).map_err(|_| failed())?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Decrypts a cursor that [`CursorKey::seal`] encrypted for the same binding.
    ///
    /// # Errors
    ///
    /// `invalid_cursor`.
    pub fn open(&self, sealed: &str, binding: &[u8]) -> Result<Cursor> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| invalid())?;
        let payload = Payload { msg: &bytes, aad: binding };
        let plain = self.cipher().decrypt(&Nonce::from(NONCE), payload).map_err(|_| invalid())?;
        serde_json::from_slice(&plain).map_err(|_| invalid())
    }
}

impl fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CursorKey")
    }
}

/// The data to which a cursor is bound: the query, the role and the tables that it sees. The order of an object's members makes no
/// difference.
///
/// # Errors
///
/// `internal` if the query has no JSON form.
pub(super) fn binding(scope: &Scope<'_>, query: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(&(&scope.view.role.name, scope.view.fingerprint, query))
        .map_err(|error| Error::new(Code::Internal, "a query has no JSON form").caused_by(error))
}

/// Serialises a value with the members of its objects sorted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sorted<'v>(pub(super) &'v Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => SortedMembers(members).serialize(serializer),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Sorted)),
            plain => plain.serialize(serializer),
        }
    }
}

/// The same for the members of an object.
#[derive(Debug, Clone, Copy)]
pub(super) struct SortedMembers<'v>(pub(super) &'v Map<String, Value>);

impl Serialize for SortedMembers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members: Vec<(&String, &Value)> = self.0.iter().collect();
        members.sort_unstable_by_key(|(name, _)| *name);
        serializer.collect_map(members.into_iter().map(|(name, value)| (name, Sorted(value))))
    }
}

pub(super) fn invalid() -> Error {
    let message = "the cursor does not belong to this query, or the tables have changed since";
    Error::new(Code::InvalidCursor, message).at("/cursor").hint(
        "pass next_cursor of the previous reply with the same table, where, order_by and archived; if the tables have changed since, start again without cursor",
    )
}

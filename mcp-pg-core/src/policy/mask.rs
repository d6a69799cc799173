//! Masks: what is shown of a masked value.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use super::Mask;
use crate::cipher::DerivedKey;
use crate::name::hex;

/// The key of [`Mask::Hash`]. Without it, nobody can find a hashed value by trying values.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskKey(DerivedKey);

impl MaskKey {
    /// Derives the key from a secret of any length.
    pub fn new(secret: &[u8]) -> Self {
        Self(DerivedKey::of_secret(secret))
    }

    /// Derives the key from a password. This is slow on purpose.
    pub fn of_password(password: &[u8], salt: Vec<u8>) -> Self {
        Self(DerivedKey::of_password(password, salt))
    }

    /// A random key; `None` if the operating system has no random numbers.
    pub fn random() -> Option<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| Self(DerivedKey::of(key)))
    }

    fn hash(&self, value: &[u8]) -> String {
        // A key of any length will do for an HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.bytes()) else {
            return String::new();
        };
        mac.update(value);
        hex(&mac.finalize().into_bytes())
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey")
    }
}

/// Shown in place of hidden characters.
const HIDDEN: &str = "***";

impl Mask {
    /// The masked value; null stays null. `email` and `last4` mask each element of a list, and show only `***` of values that
    /// they do not apply to, such as objects. `hash` without a key shows only `***`, since values could be found by trying.
    ///
    /// ```
    /// use mcp_pg_core::policy::{Mask, MaskKey};
    /// use serde_json::json;
    ///
    /// let key = MaskKey::new(b"a secret");
    /// assert_eq!(Mask::Email.apply(&json!("ada@example.com"), None), json!("a***@example.com"));
    /// assert_eq!(Mask::Email.apply(&json!("ada@example.com, bob@example.com"), None), json!("***"));
    /// assert_eq!(Mask::Last4.apply(&json!("4111111111111111"), None), json!("***1111"));
    /// assert_eq!(Mask::Last4.apply(&json!(["4111111111111111", "123"]), None), json!(["***1111", "***"]));
    /// assert_eq!(Mask::Hash.apply(&json!("123"), None), json!("***"));
    /// assert_ne!(Mask::Hash.apply(&json!("123"), Some(&key)), json!("***"));
    /// ```
    pub fn apply(self, value: &Value, key: Option<&MaskKey>) -> Value {
        let shown = match (self, value) {
            (_, Value::Null) | (Mask::Null, _) => return Value::Null,
            (Mask::Email | Mask::Last4, Value::Array(elements)) => {
                return elements.iter().map(|element| self.apply(element, key)).collect();
            }
            (Mask::Full, _) => None,
            (Mask::Email, Value::String(text)) => email(text),
            (Mask::Last4, Value::String(text)) => last4(text),
            (Mask::Last4, Value::Number(number)) => last4(&number.to_string()),
            (Mask::Email | Mask::Last4, _) => None,
            (Mask::Hash, Value::String(text)) => key.map(|key| key.hash(text.as_bytes())),
            (Mask::Hash, value) => key.map(|key| key.hash(value.to_string().as_bytes())),
        };
        Value::String(shown.unwrap_or_else(|| HIDDEN.to_owned()))
    }

    /// Whether it shows the same of each value.
    pub(crate) fn is_constant(self) -> bool {
        matches!(self, Mask::Full | Mask::Null)
    }

    /// The mask of a value that is too long to be sent. For `hash`, `digest` tells it from others; it begins with a byte that no
    /// text has, so that no text has the same hash.
    pub(crate) fn apply_to_long(self, digest: &[u8], key: Option<&MaskKey>) -> Value {
        let hash = key.filter(|_| self == Mask::Hash && digest.len() > 1);
        Value::String(hash.map_or_else(|| HIDDEN.to_owned(), |key| key.hash(digest)))
    }

    /// Whether a value looks like one that the mask produces. Such a value must not be written back in place of the real one.
    ///
    /// ```
    /// use mcp_pg_core::policy::Mask;
    /// use serde_json::json;
    ///
    /// assert!(Mask::Last4.shows(&json!("***1111")));
    /// assert!(Mask::Email.shows(&json!(["a***@example.com"])));
    /// assert!(!Mask::Last4.shows(&json!("4111111111111111")));
    /// ```
    pub fn shows(self, value: &Value) -> bool {
        match (self, value) {
            (_, Value::String(text)) if text == HIDDEN => true,
            (Mask::Email, Value::String(_)) => self.apply(value, None) == *value,
            (Mask::Last4, Value::String(text)) => {
                text.strip_prefix(HIDDEN).is_some_and(|rest| rest.chars().count() == 4)
            }
            (_, Value::Array(elements)) => elements.iter().any(|element| self.shows(element)),
            _ => false,
        }
    }
}

/// The first letter and the domain of a single address.
fn email(text: &str) -> Option<String> {
    let (local, domain) = text.split_once('@')?;
    let in_domain = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-');
    let domain = Some(domain).filter(|domain| domain.chars().all(in_domain))?;
    Some(format!("{}***@{domain}", local.chars().next()?))
}

/// The last four characters, if there are at least eight: four of five would be nearly all.
fn last4(text: &str) -> Option<String> {
    let hidden = text.chars().count().checked_sub(4).filter(|hidden| *hidden >= 4)?;
    Some(format!("***{}", text.chars().skip(hidden).collect::<String>()))
}

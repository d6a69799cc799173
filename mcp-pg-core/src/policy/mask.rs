//! What is shown of a masked value.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Mask;

/// What [`Mask::Hash`] is computed under: whoever sees the hashes and lacks it cannot try values.
#[derive(Clone, PartialEq, Eq)]
pub struct MaskKey([u8; 32]);

impl MaskKey {
    /// The key that is made from a secret of any length.
    pub fn new(secret: &[u8]) -> Self {
        Self(Sha256::digest(secret).into())
    }

    /// A key that nobody has had before; none if the operating system gives no random numbers.
    pub fn random() -> Option<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).ok().map(|()| Self(key))
    }

    fn hash(&self, text: &str) -> String {
        let mut hex = String::new();
        // A key of any length will do for an HMAC.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(text.as_bytes());
            for byte in mac.finalize().into_bytes() {
                // Writing to a String cannot fail.
                let _ = write!(hex, "{byte:02x}");
            }
        }
        hex
    }
}

impl fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskKey")
    }
}

/// What stands for the letters that are not shown.
const HIDDEN: &str = "***";

impl Mask {
    /// The value as a caller may see it; null stays null. A hash under no key could be tried out: `***`.
    ///
    /// ```
    /// use mcp_pg_core::policy::{Mask, MaskKey};
    /// use serde_json::json;
    ///
    /// let key = MaskKey::new(b"a secret");
    /// assert_eq!(Mask::Email.apply(&json!("ada@example.com"), None), json!("a***@example.com"));
    /// assert_eq!(Mask::Last4.apply(&json!("4111111111111111"), None), json!("***1111"));
    /// assert_eq!(Mask::Last4.apply(&json!("123"), None), json!("***"));
    /// assert_eq!(Mask::Hash.apply(&json!("123"), None), json!("***"));
    /// assert_ne!(Mask::Hash.apply(&json!("123"), Some(&key)), json!("***"));
    /// ```
    pub fn apply(self, value: &Value, key: Option<&MaskKey>) -> Value {
        if value.is_null() {
            return Value::Null;
        }
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Value::String(match self {
            Mask::Null => return Value::Null,
            Mask::Full => HIDDEN.to_owned(),
            Mask::Email => match text.split_once('@') {
                Some((local, domain)) => {
                    format!("{}{HIDDEN}@{domain}", local.chars().next().unwrap_or_default())
                }
                None => HIDDEN.to_owned(),
            },
            Mask::Last4 => {
                let letters: Vec<char> = text.chars().collect();
                // Four of five would be nearly all.
                match letters.len().checked_sub(4) {
                    Some(start) if start >= 4 => {
                        format!("{HIDDEN}{}", letters[start..].iter().collect::<String>())
                    }
                    _ => HIDDEN.to_owned(),
                }
            }
            Mask::Hash => key.map_or_else(|| HIDDEN.to_owned(), |key| key.hash(&text)),
        })
    }

    /// Whether a value is one that the mask shows in the place of others, as far as it looks different: written
    /// back, it would take the real one's place.
    ///
    /// ```
    /// use mcp_pg_core::policy::Mask;
    /// use serde_json::json;
    ///
    /// assert!(Mask::Last4.shows(&json!("***1111")));
    /// assert!(!Mask::Last4.shows(&json!("4111111111111111")));
    /// ```
    pub fn shows(self, value: &Value) -> bool {
        value.as_str().is_some_and(|text| {
            text == HIDDEN || text.contains(HIDDEN) && self.apply(value, None) == *value
        })
    }
}

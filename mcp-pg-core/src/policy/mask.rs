//! What is shown of a masked value.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Mask;

impl Mask {
    /// The value as a caller may see it; null stays null.
    ///
    /// ```
    /// use mcp_pg_core::policy::Mask;
    /// use serde_json::json;
    ///
    /// assert_eq!(Mask::Email.apply(&json!("ada@example.com")), json!("a***@example.com"));
    /// assert_eq!(Mask::Last4.apply(&json!("4111111111111111")), json!("***1111"));
    /// assert_eq!(Mask::Last4.apply(&json!("123")), json!("***"));
    /// ```
    pub fn apply(self, value: &Value) -> Value {
        const HIDDEN: &str = "***";
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
            Mask::Hash => {
                Sha256::digest(text.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
                    // Writing to a String cannot fail.
                    let _ = write!(hex, "{byte:02x}");
                    hex
                })
            }
        })
    }
}

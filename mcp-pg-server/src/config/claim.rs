//! `"claim:NAME"`, which stands for the value of a claim.

use serde_json::Value;

use super::ConfigError;

/// Refuses an empty claim name, and texts that look like a misspelt claim.
pub(super) fn check(text: &str) -> Result<(), ConfigError> {
    let Some((word, name)) = text.split_once(':') else { return Ok(()) };
    match word {
        "claim" if name.is_empty() => Err(ConfigError::new("names no claim; write \"claim:NAME\"")),
        "claim" => Ok(()),
        _ if ["claim", "claims"].iter().any(|known| word.trim().eq_ignore_ascii_case(known)) => {
            Err(ConfigError::new(format!("{text:?} is no claim; write \"claim:{name}\"")))
        }
        _ => Ok(()),
    }
}

/// The same for all texts in a value.
pub(super) fn check_within(value: &Value) -> Result<(), ConfigError> {
    match value {
        Value::String(text) => check(text),
        Value::Array(items) => items.iter().try_for_each(check_within),
        Value::Object(members) => members.values().try_for_each(check_within),
        _ => Ok(()),
    }
}

//! `[encryption]`: the encrypted columns and the file of their keys.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mcp_pg_core::cipher::KeyRing;
use mcp_pg_core::policy::Encryption;

use super::ConfigError;
use super::raw::EncryptionKeys;
use crate::file;

/// The key file, if there is one. A relative path is relative to `directory`.
pub(super) fn key_file(keys: &EncryptionKeys, directory: &Path) -> Option<PathBuf> {
    keys.keys.is_none().then(|| keys.key_file.as_ref().map(|file| directory.join(file))).flatten()
}

/// Reads the keys.
pub(super) fn resolve(
    keys: EncryptionKeys,
    key_file: Option<&Path>,
) -> Result<Encryption, ConfigError> {
    let columns = keys.columns.unwrap_or_default();
    let blind_index = keys.blind_index.unwrap_or_default();
    let text = match (keys.keys, key_file) {
        (Some(text), _) => Some(("MCP_PG_ENCRYPTION_KEYS".to_owned(), text)),
        (None, Some(path)) => {
            let text = file::read_text(path).map_err(|error| {
                ConfigError::new(format!(
                    "encryption.key_file: cannot read {}: {error}",
                    path.display()
                ))
            })?;
            Some((path.display().to_string(), text))
        }
        (None, None) => None,
    };
    let ring = text
        .map(|(place, text)| {
            KeyRing::parse(&text)
                .map_err(|error| ConfigError::new(format!("{place}: {}", error.message())))
        })
        .transpose()?;
    for name in &columns {
        if name.matches('.').count() < 2 {
            return Err(ConfigError::new(format!(
                "encryption.columns: {name:?} is not schema.table.column"
            )));
        }
    }
    if let Some(name) = blind_index.keys().find(|name| !columns.contains(name)) {
        return Err(ConfigError::new(format!(
            "encryption.blind_index: {name:?} is not one of encryption.columns"
        )));
    }
    match &ring {
        None if !columns.is_empty() => Err(ConfigError::new(
            "encryption.columns: there is no key; set MCP_PG_ENCRYPTION_KEYS, or name a key_file",
        )),
        Some(ring) if !blind_index.is_empty() && !ring.can_index() => {
            Err(ConfigError::new("encryption.blind_index: there is no key called index"))
        }
        _ => Ok(Encryption { columns, blind_index, keys: ring.map(Arc::new) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

    fn resolved(columns: &[&str], index: bool, keys: Option<String>) -> Result<Encryption, String> {
        let names = || columns.iter().map(|name| (*name).to_owned());
        let blind_index = names().map(|name| (name, "ssn_index".to_owned()));
        let keys = EncryptionKeys {
            columns: Some(names().collect()),
            blind_index: index.then(|| blind_index.collect()),
            keys,
            key_file: None,
        };
        resolve(keys, None).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_and_columns_go_together() {
        let ssn = ["public.person.ssn"];
        assert!(resolved(&[], false, None).unwrap().keys.is_none());
        assert!(resolved(&ssn, false, None).unwrap_err().contains("there is no key"));
        assert!(resolved(&ssn, false, Some(format!("a:{KEY}"))).is_ok());
        let lacking = resolved(&ssn, true, Some(format!("a:{KEY}"))).unwrap_err();
        assert!(lacking.contains("called index"), "{lacking}");
        assert!(resolved(&ssn, true, Some(format!("a:{KEY} index:{KEY}"))).is_ok());
        let short = resolved(&["ssn"], false, Some(format!("a:{KEY}"))).unwrap_err();
        assert!(short.contains("schema.table.column"), "{short}");
    }

    #[test]
    fn a_wrong_key_is_not_repeated() {
        let wrong = resolved(&["a.b.c"], false, Some("a:c2VjcmV0".into())).unwrap_err();
        assert!(wrong.starts_with("MCP_PG_ENCRYPTION_KEYS: key 1: "), "{wrong}");
        assert!(!wrong.contains("c2VjcmV0"), "{wrong}");
    }
}

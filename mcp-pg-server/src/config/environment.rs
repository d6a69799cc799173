//! Environment variables: `MCP_PG__SECTION__KEY` over the file, and those of libpq.

use std::collections::BTreeMap;

use super::ConfigError;

const PREFIX: &str = "MCP_PG__";
/// Secrets have names of their own, for those who keep them apart; they are no TOML.
const SECRETS: [(&str, &str); 2] =
    [("MCP_PG_ENCRYPTION_KEYS", "ENCRYPTION__KEYS"), ("MCP_PG_STATE_KEY", "SERVER__STATE_KEY")];

/// Keys that hold lists: in a variable, commas alone may part their items.
const LISTS: [&str; 10] = [
    "algorithms",
    "allowed_hosts",
    "allowed_origins",
    "columns",
    "confirm",
    "functions",
    "owners",
    "schemas",
    "sensitive",
    "untrusted",
];

/// The environment variables at start, so that resolving them is a function and can be tested.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process; those that are not Unicode are left out.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// The given variables alone.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Lays each `MCP_PG__SECTION__KEY` over the file's keys.
    ///
    /// A value is read as TOML where it is TOML (`10`, `true`, `["a", "b"]`) and as text otherwise; a list of
    /// texts may be written as `a,b`, too.
    pub(super) fn overlay(&self, file: &mut toml::Table) -> Result<(), ConfigError> {
        for (variable, value) in &self.0 {
            let secret = SECRETS.iter().find(|(name, _)| name == variable);
            let (path, value) = if let Some((_, path)) = secret {
                (*path, toml::Value::String(value.clone()))
            } else if let Some(path) = variable.strip_prefix(PREFIX) {
                (path, read(value))
            } else {
                continue;
            };
            set(file, path, value).ok_or_else(|| {
                ConfigError::new(format!("{variable}: names no key; write {PREFIX}SECTION__KEY"))
            })?;
        }
        Ok(())
    }
}

fn set(table: &mut toml::Table, path: &str, value: toml::Value) -> Option<()> {
    let (key, rest) = match path.split_once("__") {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    if key.is_empty() {
        return None;
    }
    // Variables are upper case by custom; names such as a role's may be of any case.
    let key = table
        .keys()
        .find(|known| known.eq_ignore_ascii_case(key))
        .cloned()
        .unwrap_or_else(|| key.to_ascii_lowercase());
    match rest {
        None => {
            let value = match value {
                toml::Value::String(text) if LISTS.contains(&key.as_str()) => listed(&text),
                value => value,
            };
            table.insert(key, value);
            Some(())
        }
        Some(rest) => {
            let section = table.entry(key).or_insert_with(|| toml::Table::new().into());
            set(section.as_table_mut()?, rest, value)
        }
    }
}

fn listed(text: &str) -> toml::Value {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    toml::Value::Array(items.map(|item| toml::Value::String(item.to_owned())).collect())
}

fn read(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

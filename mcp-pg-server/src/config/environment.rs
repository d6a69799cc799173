//! Environment variables: `MCP_PG__SECTION__KEY` over the file, and those of libpq.

use std::collections::{BTreeMap, BTreeSet};

use mcp_pg_core::name::nearest;

use super::{ConfigError, raw};

const PREFIX: &str = "MCP_PG__";
/// The prefix of this program's variables.
const OWN: &str = "MCP_PG_";
/// Variables for secrets, which are taken literally, not as TOML.
const SECRETS: [(&str, &str); 2] =
    [("MCP_PG_ENCRYPTION_KEYS", "ENCRYPTION__KEYS"), ("MCP_PG_STATE_KEY", "SERVER__STATE_KEY")];

/// Variables with the prefix that are not keys of the configuration.
const OTHERS: [&str; 5] = ["CLAIMS", "ENCRYPTION_KEYS", "POSTGRES_BIN", "ROLE", "STATE_KEY"];

/// Keys whose values are lists. In a variable, items may be separated by commas.
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

/// Boolean keys. In a variable, case is ignored.
const FLAGS: [&str; 5] =
    ["allow_hard_delete", "allow_unsafe_login", "analyze", "confirm_after_untrusted", "images"];

/// The environment variables at the start, so that tests can give others.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// Names of variables that are not Unicode.
    unreadable: BTreeSet<String>,
}

/// A key that is set by a variable.
pub(super) struct Overlaid<'e> {
    /// The key's name in errors: `limits.max_rows`.
    key: String,
    variable: &'e str,
}

impl Overlaid<'_> {
    /// The error with the variable's name, if it is about this key.
    pub(super) fn blamed(&self, error: &ConfigError) -> Option<ConfigError> {
        let text = error.to_string();
        // The section itself may not exist.
        let section = || text.split_once(": unknown key").map(|(section, _)| section);
        let own = match text.strip_prefix(&self.key) {
            Some(rest) => rest.starts_with(['.', ':', '[', ' ']),
            None => section()
                .and_then(|section| self.key.strip_prefix(section))
                .is_some_and(|rest| rest.starts_with('.')),
        };
        own.then(|| ConfigError::new(format!("{}: {text}", self.variable)))
    }
}

impl Environment {
    /// The variables of this process.
    pub fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            let unreadable = name.to_string_lossy().into_owned();
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => {
                    environment.variables.insert(name, value);
                }
                _ => {
                    environment.unreadable.insert(unreadable);
                }
            }
        }
        environment
    }

    /// Only the given variables.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pairs = pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { variables: pairs.collect(), unreadable: BTreeSet::new() }
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Sets the keys of all non-empty `MCP_PG__SECTION__KEY` variables, which override the file. Returns these keys.
    ///
    /// A value is parsed as TOML if possible (`10`, `true`, `["a", "b"]`), or else as a list or object in JSON, and is a text
    /// otherwise. Lists may also be written as `a,b`, and booleans in any case.
    pub(super) fn overlay(&self, file: &mut toml::Table) -> Result<Vec<Overlaid<'_>>, ConfigError> {
        if let Some(name) = self.unreadable.iter().find(|name| name.starts_with(OWN)) {
            return Err(ConfigError::new(format!("{name}: is not Unicode")));
        }
        let mut all = Vec::new();
        for (variable, value) in self.variables.iter().filter(|(_, value)| !value.is_empty()) {
            let secret = SECRETS.iter().find(|(name, _)| name == variable);
            let (path, value) = if let Some((_, path)) = secret {
                (*path, toml::Value::String(value.clone()))
            } else if let Some(path) = variable.strip_prefix(PREFIX) {
                (path, read(path, value))
            } else {
                match variable.strip_prefix(OWN).and_then(|rest| meant(rest, value)) {
                    Some(meant) => {
                        let told = format!("{variable}: is unknown; did you mean {meant}?");
                        return Err(ConfigError::new(told));
                    }
                    None => continue,
                }
            };
            let key = set(file, path, value).ok_or_else(|| {
                ConfigError::new(format!("{variable}: names no key; write {PREFIX}SECTION__KEY"))
            })?;
            all.push(Overlaid { key, variable });
        }
        Ok(all)
    }
}

/// The variable that was meant, if `rest` is a misspelt name. Other variables may have the same prefix: those of
/// Kubernetes for a service of this name (`MCP_PG_PORT`), and those of other programs.
fn meant(rest: &str, value: &str) -> Option<String> {
    if OTHERS.contains(&rest) {
        return None;
    }
    if rest.contains("__") {
        return Some(format!("{PREFIX}{rest}"));
    }
    let parsed = |path: &str| {
        let mut table = toml::Table::new();
        set(&mut table, path, read(path, value)).map(|_| raw::parse(table).map(drop))
    };
    let is_known = |told: Result<(), ConfigError>| {
        told.err().is_none_or(|error| !error.to_string().contains("unknown key"))
    };
    let sectioned = rest.split_once('_').map(|(section, key)| format!("{section}__{key}"));
    if let Some(path) = sectioned.filter(|path| parsed(path).is_some_and(is_known)) {
        return Some(format!("{PREFIX}{path}"));
    }
    match parsed(rest) {
        Some(Ok(())) => Some(format!("{PREFIX}{rest}")),
        _ => nearest(rest, OTHERS).map(|name| format!("{OWN}{name}")),
    }
}

/// Sets the key at the path, and returns its name with dots.
fn set(table: &mut toml::Table, path: &str, value: toml::Value) -> Option<String> {
    let (key, rest) = match path.split_once("__") {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    if key.is_empty() {
        return None;
    }
    // Variables are usually upper case; keys such as a role's name may have any case.
    let key = table
        .keys()
        .find(|known| known.eq_ignore_ascii_case(key))
        .cloned()
        .unwrap_or_else(|| key.to_ascii_lowercase());
    match rest {
        None => {
            let value = match value {
                toml::Value::String(text) if LISTS.contains(&key.as_str()) => listed(&text),
                toml::Value::String(text) if FLAGS.contains(&key.as_str()) => flag(text),
                value => value,
            };
            table.insert(key.clone(), value);
            Some(key)
        }
        Some(rest) => {
            let section = table.entry(&key).or_insert_with(|| toml::Table::new().into());
            let inner = set(section.as_table_mut()?, rest, value)?;
            Some(format!("{key}.{inner}"))
        }
    }
}

fn listed(text: &str) -> toml::Value {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    toml::Value::Array(items.map(|item| toml::Value::String(item.to_owned())).collect())
}

fn flag(text: String) -> toml::Value {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    match (is("true"), is("false")) {
        (false, false) => toml::Value::String(text),
        (yes, _) => toml::Value::Boolean(yes),
    }
}

fn read(path: &str, text: &str) -> toml::Value {
    // A setting of the session is a text, which may well be JSON.
    let is_text = path.split("__").any(|key| key.eq_ignore_ascii_case("session"));
    let json = || serde_json::from_str(text).ok().filter(|_| !is_text && raw::is_structured(text));
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
        .or_else(json)
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

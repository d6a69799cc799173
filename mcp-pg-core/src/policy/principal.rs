//! The caller.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// An authenticated caller: never built from anything that a model wrote.
///
/// ```
/// use mcp_pg_core::Principal;
///
/// let caller = Principal::new("nightly-report", "analyst").claim("tenant_id", "42");
/// assert_eq!(caller.role, "analyst");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// The name in the credentials, for the audit.
    pub subject: String,
    /// The role whose grants apply.
    pub role: String,
    /// How the caller was known: `command_line`, `api_key`, `jwt`, `library`; or how not: `bearer`, `none`.
    pub method: String,
    /// What the credentials say of the caller, for row filters, presets and session settings.
    pub claims: Map<String, Value>,
}

impl Principal {
    /// A caller without claims, known to the embedding program.
    pub fn new(subject: impl Into<String>, role: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            role: role.into(),
            method: "library".into(),
            claims: Map::new(),
        }
    }

    /// Someone who came by this method and is not known: for the audit, since it has no role.
    pub fn unknown(method: impl Into<String>) -> Self {
        Self { method: method.into(), ..Self::new("", "") }
    }

    /// What tells this caller from others: a key and a token may bear the same name without being the same caller.
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.subject)
    }

    /// Adds a claim.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }
}

/// The claim that a configuration names: by its name, by a JSON Pointer (`/app_metadata/tenant`), or all of them by `*`, as an
/// object. What begins with `/` is a pointer and nothing else, whatever claims are called.
///
/// ```
/// use mcp_pg_core::policy::claim;
/// use serde_json::json;
///
/// let claims = json!({"sub": "ada", "app": {"tenant": 42}});
/// let claims = claims.as_object().unwrap();
/// assert_eq!(claim(claims, "sub").as_deref(), Some(&json!("ada")));
/// assert_eq!(claim(claims, "/app/tenant").as_deref(), Some(&json!(42)));
/// assert_eq!(claim(claims, "/app/region"), None);
/// assert_eq!(claim(claims, "*").as_deref(), Some(&json!({"sub": "ada", "app": {"tenant": 42}})));
/// ```
pub fn claim<'c>(claims: &'c Map<String, Value>, name: &str) -> Option<Cow<'c, Value>> {
    if name == "*" {
        return Some(Cow::Owned(Value::Object(claims.clone())));
    }
    let Some(path) = name.strip_prefix('/') else { return claims.get(name).map(Cow::Borrowed) };
    let (first, rest) = match path.split_once('/') {
        Some((first, rest)) => (first, format!("/{rest}")),
        None => (path, String::new()),
    };
    let claim = claims.get(&first.replace("~1", "/").replace("~0", "~"))?;
    claim.pointer(&rest).map(Cow::Borrowed)
}

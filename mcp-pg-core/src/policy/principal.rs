//! The caller.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// An authenticated caller. It is never built from anything that a model wrote.
///
/// ```
/// use mcp_pg_core::Principal;
///
/// let caller = Principal::new("nightly-report", "analyst").claim("tenant_id", "42");
/// assert_eq!(caller.role, "analyst");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// The name in the credentials, for the audit log.
    pub subject: String,
    /// The role whose grants apply.
    pub role: String,
    /// How the caller was authenticated: `command_line`, `loopback`, `api_key`, `jwt` or `library`. For callers who were not:
    /// `bearer` or `none`.
    pub method: String,
    /// The claims in the credentials, for row conditions, presets and session settings.
    pub claims: Map<String, Value>,
}

impl Principal {
    /// A caller without claims, authenticated by the embedding program (method `library`).
    pub fn new(subject: impl Into<String>, role: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            role: role.into(),
            method: "library".into(),
            claims: Map::new(),
        }
    }

    /// A caller who could not be authenticated by this method. It has no role, and serves for audit records only.
    pub fn unknown(method: impl Into<String>) -> Self {
        Self { method: method.into(), ..Self::new("", "") }
    }

    /// Identifies the caller: method and subject, since an API key and a token can have the same name.
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.subject)
    }

    /// Adds a claim.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }
}

/// The claim that a configuration names: by its name, by a JSON Pointer (`/app_metadata/tenant`), or all claims as an object
/// (`*`). A name that begins with `/` is always a pointer.
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

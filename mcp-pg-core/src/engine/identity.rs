//! The caller's identity in PostgreSQL: the database role, and the settings that policies read.

use serde_json::Value;

use super::Engine;
use crate::error::{Code, Error, Result};
use crate::execute::{Identity, NO_PARAMETER};
use crate::plan::Scope;
use crate::policy::{Setting, claim, milliseconds};
use crate::value::in_quotes;

/// A session setting of a role that PostgreSQL refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RefusedSetting {
    /// The role's name.
    pub role: String,
    /// The setting's name.
    pub setting: String,
    /// PostgreSQL's message.
    pub message: String,
}

impl Engine {
    /// Tries the session settings of all roles in transactions that are rolled back; returns those that PostgreSQL refuses. The
    /// values of claims are not known and cannot be tried.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub async fn refused_settings(&self) -> Result<Vec<RefusedSetting>> {
        let mut refused = Vec::new();
        for role in &self.settings().roles {
            for (name, setting) in &role.session {
                let value = match setting {
                    Setting::Fixed(value) => Some(value.as_str()),
                    Setting::Claim(_) => None,
                };
                let message = self.database.setting_refused(name, value).await?;
                let of = |message| RefusedSetting {
                    role: role.name.clone(),
                    setting: name.clone(),
                    message,
                };
                refused.extend(message.map(of));
            }
        }
        Ok(refused)
    }
}

/// The error for a cast that failed in the database, not for a value of the request: if the caller lacks a claim that the role's
/// session is to have, policies compare with the empty text in its place.
pub(super) fn of_absent_claims(scope: &Scope<'_>, error: Error) -> Error {
    if error.message() != NO_PARAMETER {
        return error;
    }
    let absent = scope.view.role.session.values().filter_map(|setting| match setting {
        Setting::Claim(name) => {
            let value = claim(&scope.caller.claims, name);
            value.is_none_or(|value| value.is_null()).then_some(name.as_str())
        }
        Setting::Fixed(_) => None,
    });
    let absent: Vec<&str> = absent.collect();
    if absent.is_empty() {
        return error;
    }
    let message = format!(
        "the caller's credentials have no claim {}, with which policies of the table compare",
        absent.join(", ")
    );
    let hint = "the maintainer of the credentials has to add it; policies that compare with \
                nullif(current_setting('…', true), '') show nothing instead";
    let state = error.get_sqlstate().unwrap_or_default().to_owned();
    Error::new(Code::Forbidden, message).hint(hint).sqlstate(state).caused_by(error)
}

/// The caller's identity, from the role's configuration and the caller's claims.
pub(super) fn identity(scope: &Scope<'_>) -> Identity {
    let role = &scope.view.role;
    let settings = role.session.iter().map(|(name, setting)| {
        let value = match setting {
            Setting::Fixed(value) => value.clone(),
            // An absent claim becomes the empty text, which is also what a policy reads from a setting that was never
            // made.
            Setting::Claim(name) => match claim(&scope.caller.claims, name).as_deref() {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(Value::Array(items)) => array_literal(items),
                Some(other) => other.to_string(),
            },
        };
        (name.clone(), value)
    });
    let timeout = role
        .limits
        .statement_timeout
        .map(|timeout| ("statement_timeout".to_owned(), milliseconds(timeout)));
    Identity {
        role: role.database_role.clone(),
        settings: settings.chain(timeout).collect(),
        restore: false,
    }
}

/// `{a,b}`, which policies can cast to an array.
fn array_literal(items: &[Value]) -> String {
    let items = items.iter().map(|item| match item {
        Value::Null | Value::Bool(_) | Value::Number(_) => item.to_string(),
        Value::String(text) => in_quotes(text),
        // Nested values become the text of one item.
        Value::Array(_) | Value::Object(_) => in_quotes(&item.to_string()),
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

//! As whom the statements of a transaction run.

use std::fmt::Write;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio_postgres::error::DbError;

use super::refusal::{Failure, code};
use crate::error::{Code, Error};

/// Sets the role until the transaction ends.
pub(super) const BECOME: &str = "SELECT pg_catalog.set_config('role', $1, true)";

/// The caller's database role and settings, for one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The role to become; the login if absent.
    pub(crate) role: Option<String>,
    /// Settings by name.
    pub(crate) settings: Vec<(String, String)>,
    /// Whether to reset the session afterwards, since the transaction runs code of the database.
    pub(crate) restore: bool,
}

impl Identity {
    /// Whether there is nothing to set.
    pub(crate) fn is_login(&self) -> bool {
        self.role.is_none() && self.settings.is_empty() && !self.restore
    }

    /// The timeout of its statements, if it is not the session's.
    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        let mut settings = self.settings.iter().rev();
        let (_, text) = settings.find(|(name, _)| name == "statement_timeout")?;
        text.parse().ok().map(Duration::from_millis)
    }
}

/// The identity cannot be set: the role does not exist, the login is not a member, or PostgreSQL refuses a setting.
/// This is not about the caller's values.
pub(super) fn not_become(error: tokio_postgres::Error) -> Failure {
    match error.as_db_error().is_some_and(is_of_identity) {
        true => unassumable().caused_by(error).into(),
        false => Failure::Database(error),
    }
}

/// Whether PostgreSQL refuses an identity, rather than the connection.
pub(super) fn is_of_identity(answer: &DbError) -> bool {
    let code = code(answer.code().code());
    matches!(code, Code::InvalidValue | Code::Forbidden | Code::DatabaseError)
}

/// The error of a caller whose identity PostgreSQL refuses.
pub(crate) fn unassumable() -> Error {
    Error::new(Code::Forbidden, "the caller's role cannot be assumed in the database")
        .hint("the server's maintainer has to fix it: the command check, or the engine's findings and refused_settings, say more")
}

/// The messages that set the caller's identity.
pub(super) async fn become_caller<'a>(
    client: &'a Object,
    identity: &'a Identity,
) -> Result<impl Future<Output = Result<u64, tokio_postgres::Error>> + 'a, tokio_postgres::Error> {
    // The role comes last, because the login may make settings that the role may not.
    let settings = identity.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let role = identity.role.iter().map(|role| ("role", role.as_str()));
    let parameters: Vec<&str> =
        settings.chain(role).flat_map(|(name, value)| [name, value]).collect();
    let prepared = match parameters.len() {
        0 => None,
        count => Some(client.prepare_cached(&set_config(count)).await?),
    };
    Ok(async move {
        match prepared {
            None => Ok(0),
            Some(prepared) => client.execute_raw(&prepared, parameters).await,
        }
    })
}

/// A statement that sets this number of settings.
fn set_config(parameters: usize) -> String {
    let mut sql = String::from("SELECT ");
    for name in (1..=parameters).step_by(2) {
        let comma = if name == 1 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(sql, "{comma}pg_catalog.set_config(${name}, ${}, true)", name + 1);
    }
    sql
}

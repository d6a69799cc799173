//! Errors of connections that cannot be made.

use deadpool_postgres::{HookError, PoolError, TimeoutType};

use crate::error::{Code, Error};
use crate::execute::refusal::ended;

/// The message about a pooler in front of the database that shares sessions between clients.
pub(in crate::execute) const SHARED: &str =
    "database sessions are shared between clients, as poolers do in transaction mode";

/// The error of the pool.
pub(in crate::execute) fn unconnected(error: PoolError) -> Error {
    match error {
        PoolError::Timeout(TimeoutType::Wait) => {
            Error::new(Code::DatabaseUnavailable, "all connections to the database are busy")
                .hint("try again in a moment")
        }
        error if is_shared(&error) => shared(),
        PoolError::Backend(error) if refuses(&error) => refused(error),
        PoolError::Backend(error) if is_other(&error) => other(error),
        PoolError::Backend(error) if is_settled(&error) => unfit(error),
        PoolError::Backend(error) if error.code().is_some() => {
            let state = error.code().map(|state| state.code().to_owned()).unwrap_or_default();
            ended(&state).sqlstate(state).caused_by(error)
        }
        PoolError::Backend(error) => unavailable(error),
        error => unavailable(error),
    }
}

/// Whether a pooler that shares sessions is the cause.
pub(in crate::execute) fn is_shared(error: &PoolError) -> bool {
    matches!(error, PoolError::PostCreateHook(HookError::Message(told)) if told == SHARED)
}

/// The error about such a pooler.
pub(in crate::execute) fn shared() -> Error {
    Error::new(Code::DatabaseUnavailable, SHARED)
        .hint("an operator can connect this server to PostgreSQL itself, or to the pooler's session mode")
        .retryable(false)
}

/// Whether PostgreSQL refused the connection: no such database or login, a wrong password, no right to connect, or a
/// database that takes no connections.
fn refuses(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|state| {
        matches!(state.code(), "3D000" | "42501" | "55000") || state.code().starts_with("28")
    })
}

fn refused(error: tokio_postgres::Error) -> Error {
    Error::new(Code::DatabaseUnavailable, "the database refuses the connection")
        .hint("an operator has to check the database's name, the login, its password and its right to connect")
        .caused_by(error)
}

/// Whether the server is not read-write or read-only, as `target_session_attrs` asks. During a failover it may become so.
fn is_other(error: &tokio_postgres::Error) -> bool {
    is_caused_by(error, &["database does not allow writes", "database is not read only"])
}

fn other(error: tokio_postgres::Error) -> Error {
    let why = why(&error);
    let message = format!("there is no server as target_session_attrs asks at the moment: {why}");
    Error::new(Code::DatabaseUnavailable, message)
        .hint("try again in a moment: a failover may be under way; if it stays so, an operator has to check the database's URL")
        .caused_by(error)
}

/// Whether the server answered, but will never accept a connection with these settings: it asks for a password, does not offer
/// TLS or channel binding, or shows a certificate that is not accepted.
fn is_settled(error: &tokio_postgres::Error) -> bool {
    const SETTLED: [&str; 4] = [
        "password missing",
        "invalid peer certificate",
        "server does not support TLS",
        "server did not use channel binding",
    ];
    is_caused_by(error, &SETTLED)
}

fn is_caused_by(error: &tokio_postgres::Error, known: &[&str]) -> bool {
    let cause = why(error);
    known.iter().any(|known| cause.contains(known))
}

/// What the driver says of the cause.
fn why(error: &tokio_postgres::Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}

fn unfit(error: tokio_postgres::Error) -> Error {
    let why = why(&error);
    Error::new(Code::DatabaseUnavailable, format!("the database refuses this kind of connection: {why}"))
        .hint("an operator has to check the database's URL: its password, sslmode, sslrootcert, channel_binding")
        .retryable(false)
        .caused_by(error)
}

/// The error of a database that does not answer.
pub(in crate::execute) fn unavailable(
    error: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::new(Code::DatabaseUnavailable, "the database does not answer")
        .hint("try again in a moment")
        .caused_by(error)
}

//! Failures of statements, before they are translated for the caller.

use std::fmt;

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::error::cause::chain;
use crate::error::{Code, Error};
use crate::execute::connection::unavailable;

/// Why a statement failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the driver, which contains PostgreSQL's answer if there was one.
    Database(tokio_postgres::Error),
    /// An error of this crate.
    Own(Error),
}

impl Failure {
    /// Whether it is certain that nothing was committed.
    pub(crate) fn rolled_back(&self) -> bool {
        match self {
            Failure::Own(_) => true,
            // FATAL ends the connection, perhaps after the commit.
            Failure::Database(error) => error
                .as_db_error()
                .is_some_and(|answer| answer.parsed_severity() == Some(Severity::Error)),
        }
    }

    /// Whether the caller's database role has no privilege, or a row-level security policy forbids it.
    pub(crate) fn is_for_want_of_rights(&self) -> bool {
        match self {
            Failure::Own(_) => false,
            Failure::Database(error) => error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE),
        }
    }

    /// Whether the connection was ended by something else than the statement.
    pub(in crate::execute) fn is_cut(&self) -> bool {
        match self {
            Failure::Own(_) => false,
            Failure::Database(error) => match error.as_db_error() {
                Some(answer) => answer.code().code() == "57P01",
                None => error.is_closed(),
            },
        }
    }

    /// The error for the caller. `tell` translates PostgreSQL's answer.
    pub(in crate::execute) fn told(self, tell: impl FnOnce(&DbError) -> Error) -> Error {
        let error = match self {
            Failure::Own(error) => return error,
            Failure::Database(error) => error,
        };
        match error.as_db_error() {
            Some(answer) => {
                let refused = Refused::of(answer);
                tell(answer).sqlstate(answer.code().code()).caused_by(refused)
            }
            None if error.is_closed() || is_of_the_connection(&error) => unavailable(error),
            None => Error::new(Code::Internal, "the driver failed").caused_by(error),
        }
    }
}

/// The parts of PostgreSQL's answer that may be logged: not DETAIL and CONTEXT, which show rows, nor messages about
/// invalid values and those raised by functions.
#[derive(Debug)]
pub(in crate::execute) struct Refused {
    message: String,
    state: String,
    constraint: Option<String>,
    /// Whether the schema was changed after the statement was made.
    pub(in crate::execute) stale: bool,
}

/// The SQLSTATE for a prepared statement whose result columns have changed, and for other unsupported features.
pub(in crate::execute) const CHANGED: &str = "0A000";

/// Whether the statement itself does not fit the schema. Errors within a function and errors about values have a
/// CONTEXT.
fn is_stale(answer: &DbError) -> bool {
    // Undefined table, column, function, object or schema, a name that two columns have, a column of another type, no such
    // key for ON CONFLICT, and a column that is always generated.
    const STALE: [&str; 9] =
        ["42P01", "42703", "42883", "42704", "3F000", "42702", "42804", "42P10", "428C9"];
    match answer.code().code() {
        CHANGED => answer.routine() == Some("RevalidateCachedQuery"),
        state => STALE.contains(&state) && answer.where_().is_none(),
    }
}

impl Refused {
    fn of(answer: &DbError) -> Self {
        let state = answer.code().code().to_owned();
        let quotes = state.starts_with("22") || state.starts_with("P0");
        let message = if quotes { "a value, or what a function raised" } else { answer.message() };
        let constraint = answer.constraint().map(str::to_owned);
        Self { message: message.to_owned(), state, constraint, stale: is_stale(answer) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, state, constraint, .. } = self;
        write!(f, "{message} (SQLSTATE {state}")?;
        match constraint {
            Some(constraint) => write!(f, ", {constraint})"),
            None => write!(f, ")"),
        }
    }
}

impl std::error::Error for Refused {}

/// For the log.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = match self {
            Failure::Own(error) => {
                write!(f, "{error}")?;
                let Some(cause) = std::error::Error::source(error) else { return Ok(()) };
                f.write_str(": ")?;
                cause
            }
            Failure::Database(error) => error as _,
        };
        match cause.downcast_ref().and_then(tokio_postgres::Error::as_db_error) {
            Some(answer) => write!(f, "{}", Refused::of(answer)),
            None => f.write_str(&chain(cause)),
        }
    }
}

/// Whether reading from or writing to the connection failed.
fn is_of_the_connection(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Own(error)
    }
}

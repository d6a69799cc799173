//! Why a statement failed, before anyone has said what that means to the caller.

use std::fmt;

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::error::{Code, Error};
use crate::execute::connection::unavailable;

/// Why a statement failed: PostgreSQL refused it, or it never came so far.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The driver's error; it holds PostgreSQL's answer if there was one.
    Database(tokio_postgres::Error),
    /// This crate's own.
    Own(Error),
}

impl Failure {
    /// Whether it is certain that nothing was committed.
    pub(crate) fn rolled_back(&self) -> bool {
        match self {
            Failure::Own(_) => true,
            // With FATAL, the connection ends: perhaps only after the commit.
            Failure::Database(error) => error
                .as_db_error()
                .is_some_and(|answer| answer.parsed_severity() == Some(Severity::Error)),
        }
    }

    /// Whether the caller's database role may not do it, or a policy of row-level security is against it.
    pub(crate) fn is_for_want_of_rights(&self) -> bool {
        match self {
            Failure::Own(_) => false,
            Failure::Database(error) => error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE),
        }
    }

    /// Whether the connection was ended, and not by what ran on it.
    pub(in crate::execute) fn is_cut(&self) -> bool {
        match self {
            Failure::Own(_) => false,
            Failure::Database(error) => match error.as_db_error() {
                Some(answer) => answer.code().code() == "57P01",
                None => error.is_closed(),
            },
        }
    }

    /// The error to tell, of which `tell` knows what PostgreSQL answered.
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

/// What the log may tell of PostgreSQL's answer: not its DETAIL and CONTEXT, which show rows, nor what it says of values
/// that do not fit, and what functions raise.
#[derive(Debug)]
pub(in crate::execute) struct Refused {
    message: String,
    state: String,
    constraint: Option<String>,
    /// Whether the schema has changed under the statement.
    pub(in crate::execute) stale: bool,
}

/// What PostgreSQL says of a prepared statement whose columns have changed, and of much else that it cannot do.
pub(in crate::execute) const CHANGED: &str = "0A000";

/// Whether it is the statement itself that does not fit the schema, and not something within a function that it calls,
/// nor a value: both have a context.
fn is_stale(answer: &DbError) -> bool {
    // Undefined table, column, function, object or schema; a column of another type.
    const STALE: [&str; 6] = ["42P01", "42703", "42883", "42704", "3F000", "42804"];
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
        match self {
            Failure::Own(error) => write!(f, "{error}"),
            Failure::Database(error) => match error.as_db_error() {
                Some(answer) => write!(f, "{} ({})", answer.message(), answer.code().code()),
                None => write!(f, "{error}"),
            },
        }
    }
}

/// Whether reading from the connection, or writing to it, failed.
fn is_of_the_connection(error: &tokio_postgres::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Own(error)
    }
}

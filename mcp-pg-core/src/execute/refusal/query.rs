//! Translates PostgreSQL's errors in canned queries.
//!
//! The query's text is not the caller's, so messages may contain any names and values. Only those about a parameter,
//! and those that a function raises, are passed on.

use tokio_postgres::error::DbError;

use super::failure::Failure;
use super::place::shown;
use super::words::quotes_nothing;
use super::{COLLIDED, LOCKED, TOO_MUCH, code, ended, is_raised, parameter_of, raised};
use crate::error::{Code, Error};
use crate::name::TableName;
use crate::plan::Operand;
use crate::policy::View;

/// The error for a failed canned query, for a caller with this view.
pub(crate) fn query_refusal(failure: Failure, view: &View, parameters: &[Operand]) -> Error {
    failure.told(|answer| answered(answer, view, parameters))
}

fn answered(answer: &DbError, view: &View, parameters: &[Operand]) -> Error {
    let state = answer.code().code();
    let parameter = parameter_of(answer, parameters);
    let code = match code(state) {
        Code::DatabaseError if parameter.is_some() => Code::InvalidValue,
        code => code,
    };
    let told = match code {
        _ if is_raised(answer) => raised(answer, code),
        Code::InvalidValue => invalid(answer, parameter),
        Code::UniqueViolation => Error::new(code, "a row with the same key exists"),
        Code::ForeignKeyViolation => Error::new(
            code,
            "other rows refer to this row, or it refers to one that does not exist",
        ),
        Code::NotNullViolation => Error::new(code, "a value that must not be null is missing"),
        // A constraint of a domain. No row is involved yet.
        Code::CheckViolation if let (None, Some(domain)) = (answer.table(), answer.datatype()) => {
            violated_domain(answer, domain, parameter)
        }
        Code::CheckViolation => Error::new(code, "a row violates a rule of its table"),
        Code::ExclusionViolation => Error::new(code, "an existing row excludes this one"),
        Code::SerializationFailure => Error::new(code, COLLIDED).hint("try again"),
        Code::Timeout if state == "55P03" => Error::new(code, LOCKED),
        Code::Timeout => Error::new(code, "the query took longer than allowed"),
        Code::Forbidden if state == "25006" => {
            Error::new(code, "this would write in a read-only transaction")
                .hint("a query that writes needs @writes; locking rows counts as writing")
        }
        Code::Forbidden => {
            Error::new(code, "the database does not allow this to the caller's role")
        }
        Code::LimitExceeded => Error::new(code, TOO_MUCH),
        Code::DatabaseUnavailable => ended(state),
        // Undefined column, table, function; a name that two columns have.
        _ if matches!(state, "42703" | "42P01" | "42883" | "42702") => {
            Error::new(code, "the query no longer fits the database")
                .hint("the query's maintainer has to fix it; other tools still work")
        }
        _ if state == "2D000" => {
            Error::new(code, "it ends its transaction, which only the call may do")
        }
        _ => Error::new(code, format!("PostgreSQL refused the query (SQLSTATE {state})")),
    };
    let table = answer.schema().zip(answer.table()).and_then(|(schema, name)| {
        view.named(&TableName { schema: schema.into(), name: name.into() })
    });
    // A key or check with a hidden column is not in the view, whatever the query contains.
    match answer.constraint().filter(|name| table.is_some_and(|table| table.table.has_rule(name))) {
        Some(constraint) => told.constraint(constraint),
        None => told,
    }
}

/// A value does not fit. PostgreSQL's message is passed on if it is about a parameter or quotes no value.
fn invalid(answer: &DbError, parameter: Option<&str>) -> Error {
    let told = shown(answer.message());
    if let Some(at) = parameter {
        return Error::new(Code::InvalidValue, told).at(at);
    }
    let message = "a value does not fit what the query does with it";
    Error::new(
        Code::InvalidValue,
        match quotes_nothing(answer.message()) {
            true => format!("{message}: {told}"),
            false => message.to_owned(),
        },
    )
}

/// A value violates a constraint of its domain, which is named if the value is a parameter.
fn violated_domain(answer: &DbError, domain: &str, parameter: Option<&str>) -> Error {
    let code = Code::CheckViolation;
    match parameter {
        Some(at) => Error::new(code, format!("the value violates the rules of {domain}"))
            .constraint(answer.constraint().unwrap_or_default())
            .at(at),
        None => Error::new(code, "a value violates the rules of its type"),
    }
}

//! Translates PostgreSQL's errors.
//!
//! PostgreSQL's messages may contain tables, columns or values that the caller must not see, so they are passed on
//! only if they are about the caller's own input. One table maps SQLSTATE to [`Code`].

mod failure;
mod key;
mod place;
mod query;
mod rule;
mod words;

pub(in crate::execute) use failure::CHANGED;
pub(crate) use failure::Failure;
pub(crate) use key::referred;
pub(crate) use place::Place;
pub(crate) use query::query_refusal;
pub(crate) use words::ViolatedKey;

use std::error::Error as _;

use tokio_postgres::error::DbError;

use crate::error::{Code, Error, step};
use crate::execute::connection::unavailable;
use crate::plan::{Operand, Source};
use crate::schema::TableKind;
use failure::Refused;
use key::{exclusion, foreign, unique};
use place::shown;
use rule::{check, not_null};
use words::{is_towards_utf8, parameter_number, quotes, quotes_nothing};

/// The code for a SQLSTATE.
pub(in crate::execute) fn code(state: &str) -> Code {
    match state {
        "23505" => Code::UniqueViolation,
        "23503" => Code::ForeignKeyViolation,
        "23502" => Code::NotNullViolation,
        "23514" => Code::CheckViolation,
        "23P01" => Code::ExclusionViolation,
        "23001" => Code::ForeignKeyViolation,
        "40001" | "40P01" => Code::SerializationFailure,
        "57014" | "55P03" | "25P03" | "25P04" => Code::Timeout,
        "42501" | "44000" | "25006" => Code::Forbidden,
        "54000" | "54001" | "54011" | "54023" | "53200" | "53400" => Code::LimitExceeded,
        "53300" | "57P01" | "57P02" | "57P03" | "57P05" => Code::DatabaseUnavailable,
        state if state.starts_with("08") => Code::DatabaseUnavailable,
        // Errors about values.
        state if state.starts_with("22") => Code::InvalidValue,
        // A network mask, a composite value: errors in a text from the caller.
        "42804" | "42846" => Code::InvalidValue,
        _ => Code::DatabaseError,
    }
}

/// Whether the schema was changed after the statement was made, so that the call should be repeated with the new one.
pub(crate) fn is_stale(error: &Error) -> bool {
    match error.source().and_then(|cause| cause.downcast_ref::<Refused>()) {
        Some(refused) => refused.stale,
        None => error.get_sqlstate() == Some(CHANGED),
    }
}

/// The error for a failed statement.
pub(crate) fn refusal(failure: Failure, place: &Place<'_>) -> Error {
    failure.told(|answer| answered(answer, place))
}

fn answered(answer: &DbError, place: &Place<'_>) -> Error {
    let state = answer.code().code();
    let code = match code(state) {
        // PostgreSQL was parsing a value: a name in regclass, jsonpath or tsquery syntax.
        Code::DatabaseError if parameter(answer, place).is_some() => Code::InvalidValue,
        // The result of arithmetic may be NaN or infinity, which integers cannot be.
        Code::DatabaseError if is_unconvertible(answer) => Code::InvalidValue,
        code => code,
    };
    match code {
        _ if is_raised(answer) => raised(answer, code).inside(place.values.unwrap_or_default()),
        Code::UniqueViolation => unique(answer, place),
        Code::ForeignKeyViolation => foreign(answer, place),
        Code::NotNullViolation => not_null(answer, place),
        Code::CheckViolation => check(answer, place),
        Code::ExclusionViolation => exclusion(answer, place),
        // ProcessInterrupts: on a standby, the read conflicts with changes from the primary.
        Code::SerializationFailure
            if answer.routine().is_some_and(|by| by.starts_with("Process")) =>
        {
            Error::new(code, "the standby cancelled the read to keep up with its primary")
                .hint("try again, and read less if it happens again")
        }
        Code::SerializationFailure => Error::new(code, COLLIDED).hint("try again"),
        Code::Timeout => {
            let message =
                if state == "55P03" { LOCKED } else { "the statement took longer than allowed" };
            Error::new(code, message).hint("narrow the condition, or try again later")
        }
        Code::Forbidden => forbidden(answer, state).inside(place.values.unwrap_or_default()),
        _ if answer.routine() == Some("ExecOnConflictUpdate") => {
            Error::new(Code::InvalidValue, "two of the rows have the same key")
                .at(place.written())
                .hint("on_conflict updates an existing row only once: give each key once")
        }
        _ if answer.routine() == Some("RewriteQuery") => Error::new(
            code,
            "PostgreSQL does not allow this on a table or view with rules (CREATE RULE): it cannot tell which rows are written",
        ),
        Code::LimitExceeded => Error::new(code, TOO_MUCH),
        Code::DatabaseUnavailable => ended(state),
        _ if is_unreadable(answer, place) => Error::new(
            Code::DatabaseError,
            "a stored text is not valid in its encoding, so that its row cannot be read",
        )
        .hint("leave out the column that holds it, or the row; the database's maintainer can fix it"),
        _ if state == "42P17" => Error::new(
            code,
            "the table's row-level security policies are recursive, so PostgreSQL refuses every statement",
        )
        .hint("the database's maintainer has to change them: rephrasing the request will not help"),
        // Arithmetic in requests cannot fail so.
        Code::InvalidValue if state == "22012" && place.values.is_none() => {
            Error::new(Code::DatabaseError, "a view, policy or function of the database divides by zero")
                .hint("the database's maintainer can fix it; a condition that leaves out such rows may help")
        }
        Code::InvalidValue if state == "2200H" => {
            Error::new(Code::DatabaseError, "a sequence that numbers the rows has no number left")
                .hint("the database's maintainer has to change it: no other value helps")
        }
        Code::InvalidValue => invalid(answer, place),
        _ if state == "53100" => Error::new(code, "the database has no room left on its disk")
            .hint("the database's maintainer has to make room: no other value helps"),
        _ => unusual(answer, code, place),
    }
}

/// Another transaction holds the rows.
const COLLIDED: &str = "concurrent transactions collided";
const LOCKED: &str = "another transaction has held a lock on the table or its rows for too long";

/// One of PostgreSQL's own limits is exceeded.
const TOO_MUCH: &str = "this is more than the database can do at once";

/// An error that its code does not identify: something about the table that the request could not know.
fn unusual(answer: &DbError, code: Code, place: &Place<'_>) -> Error {
    match answer.routine() {
        Some("ExecCheckIndexConstraints") => Error::new(
            Code::InvalidValue,
            "a key of the table is deferrable, so on_conflict cannot detect existing rows",
        )
        .at("/on_conflict")
        .hint("name a key that is not deferrable, if there is one, or insert without on_conflict"),
        Some("currval_oid" | "lastval") => Error::new(
            code,
            "a default or trigger takes a number over from a row that the same call adds first, and this call adds none",
        )
        .hint("add both rows in one transaction, or give the number's column a value")
        .inside(place.values.unwrap_or_default()),
        Some("ExecOpenScanRelation") => Error::new(
            code,
            "this cannot be read: a materialized view has never been refreshed",
        )
        .hint("the database's maintainer has to refresh it"),
        _ if place.table.table.kind == TableKind::ForeignTable => Error::new(
            code,
            format!("the table is on a foreign server, and cannot be reached there as it is declared here (SQLSTATE {})", answer.code().code()),
        )
        .hint("the database's maintainer has to look at it: rephrasing the request will not help"),
        _ => {
            let state = answer.code().code();
            Error::new(code, format!("PostgreSQL refused the statement (SQLSTATE {state})"))
        }
    }
}

/// Whether a number cannot be converted to the type that it should have.
fn is_unconvertible(answer: &DbError) -> bool {
    answer.code().code() == CHANGED
        && answer.routine().is_some_and(|by| by.starts_with("numeric_int"))
}

fn forbidden(answer: &DbError, state: &str) -> Error {
    let message = match state {
        "44000" => "the view does not allow such rows",
        "25006" => "this would write in a read-only transaction",
        _ if answer.routine() == Some("ExecWithCheckOptions") => {
            "row-level security does not allow such a row"
        }
        _ => "the database does not allow this to the caller's role",
    };
    let error = Error::new(Code::Forbidden, message);
    match answer.routine() {
        Some("aclcheck_error") => error.hint(
            "the role lacks a right to the table, to the schema that has a column's type, or to what its defaults, triggers, policies \
             or views use: the database's maintainer can grant it",
        ),
        _ => error,
    }
}

/// PostgreSQL answered, and ended the session or accepted none.
pub(in crate::execute) fn ended(state: &str) -> Error {
    let message = match state {
        "53300" => "the database accepts no more connections of this login",
        "57P01" | "57P02" | "57P05" => "the database ended the connection",
        "57P03" => "the database is starting or stopping",
        _ => return unavailable(std::io::Error::other("closed by the server")),
    };
    Error::new(Code::DatabaseUnavailable, message).hint("try again in a moment")
}

/// Whether stored bytes are invalid in the database's encoding, or have no meaning there. Bytes from callers are never
/// invalid, and a character of theirs that the encoding does not have is on the way to it.
fn is_unreadable(answer: &DbError, place: &Place<'_>) -> bool {
    let by = |name| answer.routine().is_some_and(|by| by.starts_with(name));
    let unreadable = match answer.code().code() {
        "22021" => by("report_invalid_encoding"),
        "22P05" => by("report_untranslatable_char") && is_towards_utf8(answer.message()),
        _ => false,
    };
    unreadable && parameter(answer, place).is_none()
}

/// Whether the message was raised by a function, and so is written for users of the table.
pub(in crate::execute) fn is_raised(answer: &DbError) -> bool {
    matches!(answer.code().code(), "P0001" | "P0004") || answer.routine() == Some("exec_stmt_raise")
}

/// Whether the error is about a statement within a function or trigger.
fn is_inside_code(answer: &DbError) -> bool {
    // PostgreSQL may translate the rest.
    answer
        .where_()
        .is_some_and(|context| context.contains("PL/") || context.contains("SQL function"))
}

/// The raised message, with its detail and hint.
pub(in crate::execute) fn raised(answer: &DbError, code: Code) -> Error {
    let error = Error::new(
        code,
        match answer.detail() {
            Some(detail) => shown(&format!("{} ({detail})", answer.message())),
            None => shown(answer.message()),
        },
    );
    match answer.hint() {
        Some(hint) => error.hint(shown(hint)),
        None => error,
    }
}

/// invalid_text_representation
const UNREADABLE: &str = "22P02";

/// For a parameter, PostgreSQL would say which one it is.
pub(crate) const NO_PARAMETER: &str = "a policy, default, trigger or view of the table casts a text to a type that it does not fit: perhaps a claim of the caller, or a stored value";

/// A value does not fit its type. PostgreSQL's message is only about the value, but it says whose value it is for
/// parameters only: any other quoted value may come from a row, through a view or a trigger.
fn invalid(answer: &DbError, place: &Place<'_>) -> Error {
    if let Some(at) = time_zone(answer, place) {
        return Error::new(Code::InvalidValue, "PostgreSQL knows no such time zone")
            .at(at)
            .hint("for example \"Europe/Paris\", \"UTC\"");
    }
    let (read, used) = (parameter(answer, place), used(answer, place));
    if let (Some(at), Some("parse_hstore" | "get_val" | "prseof" | "prssyntaxerror")) =
        (read, answer.routine())
    {
        // PostgreSQL's message does not say of what type the value should be.
        return Error::new(Code::InvalidValue, "invalid input syntax for type hstore")
            .at(at)
            .hint("{\"a\": \"1\", \"b\": null}, or as text \"a=>1, b=>NULL\"");
    }
    if answer.code().code() == UNREADABLE && read.is_none() {
        return Error::new(Code::InvalidValue, NO_PARAMETER)
            .hint("the maintainer of the database or of the credentials has to look at it")
            .inside(place.values.unwrap_or_default());
    }
    if read.is_none() && is_inside_code(answer) {
        return Error::new(
            Code::InvalidValue,
            "a function or trigger of the database fails at what it does with the row",
        )
        .hint("the values may be right: the database's maintainer has to look at it")
        .inside(place.values.unwrap_or_default());
    }
    // The place where a value is used is a guess: the value may also be one that a trigger reads from a row.
    let told = read.is_some()
        || quotes_nothing(answer.message())
        || used.is_some() && !answer.message().contains(char::is_numeric);
    let message = match told {
        true => shown(answer.message()),
        false => "a value does not fit what is done with it".to_owned(),
    };
    let error = Error::new(Code::InvalidValue, message);
    match read.or(used).or_else(|| lone(place)) {
        Some(at) => error.at(at),
        None => match answer.column().and_then(|name| place.table.table.column(name)) {
            Some((_, column)) => error.at(format!("{}{}", place.written(), step(&column.name))),
            None => error.inside(place.values.unwrap_or_default()),
        },
    }
}

/// The place of the value that PostgreSQL could parse but not use, if only one can be meant: a regular expression, or
/// an operand of arithmetic.
fn used<'a>(answer: &DbError, place: &Place<'a>) -> Option<&'a str> {
    let uses: &[&str] = match answer.code().code() {
        "2201B" => &["/matches", "/imatches"],
        "22003" => &["/$increment"],
        _ => return None,
    };
    let places = place.parameters.iter().filter_map(Operand::place);
    only(places.filter(|at| uses.iter().any(|used| at.ends_with(used))))
}

/// The place that all of these share, if it is one. A value may be several parameters.
fn only<'a>(mut places: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let first = places.next()?;
    places.all(|place| place == first).then_some(first)
}

/// The place of a time zone that PostgreSQL does not know, if that is the error.
fn time_zone<'a>(answer: &DbError, place: &Place<'a>) -> Option<&'a str> {
    if answer.code().code() != "22023" {
        return None;
    }
    let zones = place
        .parameters
        .iter()
        .filter(|operand| operand.place().is_some_and(|at| at.ends_with("/time_zone")));
    let mut unknown = zones.filter(|operand| match &operand.source {
        Source::Text(Some(zone)) => quotes(answer.message(), zone),
        _ => false,
    });
    unknown.next().and_then(Operand::place)
}

/// The place of the parameter that PostgreSQL could not parse.
fn parameter<'a>(answer: &DbError, place: &Place<'a>) -> Option<&'a str> {
    parameter_of(answer, place.parameters)
}

pub(in crate::execute) fn parameter_of<'a>(
    answer: &DbError,
    parameters: &'a [Operand],
) -> Option<&'a str> {
    let number = parameter_number(answer.where_()?)?;
    parameters.get(number.checked_sub(1)?)?.place()
}

/// The place of the caller's only value. PostgreSQL could parse but not use it, as with a regular expression, and
/// does not say which value it is.
fn lone<'a>(place: &Place<'a>) -> Option<&'a str> {
    let places = place.parameters.iter().filter_map(Operand::place);
    match (place.written, place.values) {
        (Some(1), Some(values)) => only(places.filter(|at| at.starts_with(values))),
        (Some(_), Some(_)) => None,
        _ => only(places),
    }
}

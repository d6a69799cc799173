//! Errors that tell the caller how to go on.
//!
//! An [`Error`] has a [`Code`] to decide by, a place in the arguments, a message and a hint to show, and a cause that is only
//! for the log.

pub(crate) mod cause;
mod code;

use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::name::is_hidden;

pub use code::Code;

/// A `Result` whose error is this crate's [`Error`] by default.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refused or failed request: what is wrong, where in the arguments, and what would be right.
///
/// Serialises to the `error` object of a reply. It contains no SQL text and no name that the caller may not see. Its cause
/// may: that is not serialised, and available only through [`std::error::Error::source`], for the log.
///
/// Read it with [`code`](Self::code), [`message`](Self::message), [`is_retryable`](Self::is_retryable) and the methods that
/// begin with `get_`. The others make an error, for an [`AuditSink`](crate::audit::AuditSink) or an authenticator, say.
///
/// ```
/// use mcp_pg_core::{Code, Error};
///
/// let error = Error::new(Code::UnknownColumn, "public.users has no column \"nam\"")
///     .at("/columns/0")
///     .did_you_mean("name");
/// assert_eq!(error.code().as_str(), "unknown_column");
/// assert_eq!((error.get_at(), error.get_did_you_mean()), (Some("/columns/0"), Some("name")));
/// assert_eq!(serde_json::to_value(&error).unwrap()["did_you_mean"], "name");
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug, Serialize)]
struct Inner {
    code: Code,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    did_you_mean: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sqlstate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraint: Option<String>,
    retryable: bool,
    /// The row as it is now, for `conflict`.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Value>,
    /// How many rows a refused write would have affected, for `too_many_rows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    row_count: Option<u64>,
    #[serde(skip)]
    question: Option<Question>,
    #[serde(skip)]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a user has to confirm before a write is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What would be done, as a sentence.
    pub text: String,
    /// What the user confirms: a digest of the caller, the request and its effect, then what the database generated for
    /// new rows. Opaque to applications, and at most 17 KB. Keep it, or encrypt it if the caller brings it back: whoever
    /// has the digest could try values that the caller's role does not see.
    pub plan: String,
}

/// The user's confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// [`Question::plan`] of what the user confirmed.
    pub plan: String,
    /// A unique number. If there is an audit table, a write is refused if its number is in it already: then an agreement can be
    /// used only once, even by several processes.
    pub number: Option<String>,
}

/// The longest list of allowed names that an error carries.
const ALLOWED_MOST: usize = 50;

/// The maximum size of a message or hint, in bytes: it may repeat a name from the request.
const TEXT_MOST: usize = 4_000;

/// How many places of other mistakes a message names.
const ALSO_MOST: usize = 5;

impl Error {
    /// An error with a code, and a sentence for people.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let retryable = matches!(
            code,
            Code::SerializationFailure
                | Code::RateLimited
                | Code::DatabaseUnavailable
                | Code::AuditUnavailable
                | Code::Timeout
        );
        Self(Box::new(Inner {
            code,
            message: legible(message.into()),
            at: None,
            hint: None,
            allowed: Vec::new(),
            did_you_mean: None,
            sqlstate: None,
            constraint: None,
            retryable,
            current: None,
            row_count: None,
            question: None,
            source: None,
        }))
    }

    /// `limit_exceeded`, because of the limit of this name in the configuration's `[limits]`.
    ///
    /// ```
    /// use mcp_pg_core::Error;
    ///
    /// let error = Error::exceeded("max_list", "a list may have at most 1000 values, not 1001");
    /// assert_eq!(error.message(), "a list may have at most 1000 values, not 1001 (limits.max_list)");
    /// ```
    pub fn exceeded(bound: &str, message: impl fmt::Display) -> Self {
        Self::new(Code::LimitExceeded, format!("{message} (limits.{bound})"))
    }

    /// Sets the place in the arguments, as a JSON Pointer (RFC 6901).
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.0.at = Some(pointer.into());
        self
    }

    /// Puts `prefix` before the JSON Pointer: the place of the value that the pointer so far refers to.
    ///
    /// ```
    /// use mcp_pg_core::{Code, Error};
    ///
    /// let error = Error::new(Code::MissingValue, "no table").at("/table").inside("/operations/2");
    /// assert_eq!(error.get_at(), Some("/operations/2/table"));
    /// ```
    pub fn inside(mut self, prefix: &str) -> Self {
        let rest = self.0.at.take().unwrap_or_default();
        self.0.at = Some(format!("{prefix}{rest}")).filter(|at| !at.is_empty());
        self
    }

    /// Ends the message with the places of other mistakes, the first few of them.
    pub(crate) fn also(mut self, others: impl Iterator<Item = Self>) -> Self {
        let found = others.take(ALSO_MOST + 2).filter_map(|other| other.0.at);
        let mut places: Vec<String> =
            found.filter(|at| self.0.at.as_ref() != Some(at)).take(ALSO_MOST + 1).collect();
        if let Some(last) = places.get_mut(ALSO_MOST) {
            "…".clone_into(last);
        }
        if !places.is_empty() {
            let message = format!("{}; also wrong: {}", self.0.message, places.join(", "));
            self.0.message = legible(message);
        }
        self
    }

    /// Sets the hint: what would be right, as a sentence.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(legible(hint.into()));
        self
    }

    /// Sets the values or names that would be accepted, as they have to be sent. A long list is truncated. Unlike in the message
    /// and hint, invisible characters are not escaped.
    pub fn allowed<S: Into<String>>(mut self, allowed: impl IntoIterator<Item = S>) -> Self {
        let mut names = allowed.into_iter().map(Into::into);
        self.0.allowed = names.by_ref().take(ALLOWED_MOST).collect();
        let more = names.count();
        if more > 0 {
            self.0.allowed.push(format!("… {more} more"));
        }
        self
    }

    /// Sets the known name that was probably meant.
    pub fn did_you_mean(mut self, name: impl Into<String>) -> Self {
        self.0.did_you_mean = Some(name.into());
        self
    }

    /// Sets [`Error::did_you_mean`] to the nearest of `known`, if any is near.
    pub fn nearest<'a>(self, given: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match crate::name::nearest(given, known) {
            Some(name) => self.did_you_mean(name),
            None => self,
        }
    }

    /// Sets PostgreSQL's five-character code.
    pub fn sqlstate(mut self, sqlstate: impl Into<String>) -> Self {
        self.0.sqlstate = Some(sqlstate.into());
        self
    }

    /// Sets the name of the violated constraint.
    pub fn constraint(mut self, name: impl Into<String>) -> Self {
        self.0.constraint = Some(name.into());
        self
    }

    /// Sets the row as it is now.
    pub fn current(mut self, row: Value) -> Self {
        self.0.current = Some(row);
        self
    }

    /// Sets how many rows the refused write would have affected.
    pub fn row_count(mut self, rows: u64) -> Self {
        self.0.row_count = Some(rows);
        self
    }

    /// Sets what the user has to confirm before the same call can succeed.
    pub fn asking(mut self, question: Question) -> Self {
        self.0.question = Some(question);
        self
    }

    /// Sets whether the same call may succeed later, if the code alone does not decide that.
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.0.retryable = retryable;
        self
    }

    /// Sets the cause, which is only for the log.
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What programs branch on.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// The sentence for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The place in the arguments, as a JSON Pointer.
    pub fn get_at(&self) -> Option<&str> {
        self.0.at.as_deref()
    }

    /// PostgreSQL's five-character code, if PostgreSQL refused.
    pub fn get_sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }

    /// What the user has to confirm.
    pub fn question(&self) -> Option<&Question> {
        self.0.question.as_ref()
    }

    /// The hint for the caller.
    pub fn get_hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The values or names that would be accepted.
    pub fn get_allowed(&self) -> &[String] {
        &self.0.allowed
    }

    /// The name that was probably meant.
    pub fn get_did_you_mean(&self) -> Option<&str> {
        self.0.did_you_mean.as_deref()
    }

    /// The name of the violated constraint.
    pub fn get_constraint(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    /// The row as it is now, of a `conflict`.
    pub fn get_current(&self) -> Option<&Value> {
        self.0.current.as_ref()
    }

    /// How many rows the write would have affected, of `too_many_rows`.
    pub fn get_row_count(&self) -> Option<u64> {
        self.0.row_count
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }
}

impl Serialize for Error {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)?;
        if let Some(at) = &self.0.at {
            write!(f, " (at {at})")?;
        }
        if let Some(name) = &self.0.did_you_mean {
            write!(f, "; did you mean {name:?}?")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// Escapes characters that are invisible or change how others are displayed, since names come from the catalogue and values
/// from callers, and truncates long texts.
fn legible(mut text: String) -> String {
    if text.len() > TEXT_MOST {
        text.truncate(text.floor_char_boundary(TEXT_MOST));
        text.push('…');
    }
    if !text.contains(is_hidden) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_hidden(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    out
}

/// One step of a JSON Pointer: `/` and the key, escaped as in RFC 6901.
///
/// ```
/// assert_eq!(mcp_pg_core::error::step("a/b~c"), "/a~1b~0c");
/// ```
pub fn step(key: impl fmt::Display) -> String {
    below("", &key.to_string())
}

/// The JSON Pointer of a member or element of the value at `at`.
pub(crate) fn below(at: &str, key: &str) -> String {
    let mut place = String::with_capacity(at.len() + 1 + key.len());
    place.push_str(at);
    place.push('/');
    match key.contains(['~', '/']) {
        true => place.push_str(&key.replace('~', "~0").replace('/', "~1")),
        false => place.push_str(key),
    }
    place
}

//! Error codes: what programs branch on.

use std::fmt;

use serde::Serialize;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident => $text:literal,)*) => {
        /// The stable reason of an [`Error`](super::Error); its text is part of the public interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The code as replies, logs and the audit spell it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// There is no such table, or the caller may not see it.
    UnknownTable => "unknown_table",
    /// There is no such column, or the caller may not see it.
    UnknownColumn => "unknown_column",
    /// There is no such relation between tables that the caller may see.
    UnknownRelation => "unknown_relation",
    /// Several relations have this name. The error lists unambiguous names.
    AmbiguousRelation => "ambiguous_relation",
    /// The column's type has no such operator.
    UnknownOperator => "unknown_operator",
    /// An argument that the operation does not take.
    UnknownArgument => "unknown_argument",
    /// A value that does not fit its place.
    InvalidValue => "invalid_value",
    /// A required argument or column is absent.
    MissingValue => "missing_value",
    /// The column cannot be written by this caller, or by anyone.
    ReadOnlyColumn => "read_only_column",
    /// A write without a condition.
    WhereRequired => "where_required",
    /// A write would affect more rows than the caller allowed.
    TooManyRows => "too_many_rows",
    /// The request is larger or more complex than the limits allow.
    LimitExceeded => "limit_exceeded",
    /// The caller's role may not do this.
    Forbidden => "forbidden",
    /// The table has no archive column.
    NotArchivable => "not_archivable",
    /// The row has changed since the caller read it.
    Conflict => "conflict",
    /// SQLSTATE 23505.
    UniqueViolation => "unique_violation",
    /// SQLSTATE 23503.
    ForeignKeyViolation => "foreign_key_violation",
    /// SQLSTATE 23502.
    NotNullViolation => "not_null_violation",
    /// SQLSTATE 23514.
    CheckViolation => "check_violation",
    /// SQLSTATE 23P01.
    ExclusionViolation => "exclusion_violation",
    /// Concurrent transactions collided, more often than the server retries.
    SerializationFailure => "serialization_failure",
    /// The cursor was changed, belongs to another query, or is out of date.
    InvalidCursor => "invalid_cursor",
    /// The statement took longer than allowed.
    Timeout => "timeout",
    /// Too many calls.
    RateLimited => "rate_limited",
    /// No valid credentials.
    Unauthenticated => "unauthenticated",
    /// The audit record could not be written, so nothing was done.
    AuditUnavailable => "audit_unavailable",
    /// No connection to the database.
    DatabaseUnavailable => "database_unavailable",
    /// PostgreSQL refused the statement for another reason: see `sqlstate`.
    DatabaseError => "database_error",
    /// A fault of this software.
    Internal => "internal",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

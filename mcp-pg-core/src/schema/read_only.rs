//! Databases that take no writes.

use std::fmt;

use crate::error::{Code, Error};

/// Why the database takes no writes at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadOnly {
    /// It is a standby. Once promoted, it takes writes.
    Standby,
    /// `default_transaction_read_only` is on for the login or the database.
    Setting,
}

impl ReadOnly {
    /// The error of an attempted write.
    pub fn refusal(self) -> Error {
        let hint = match self {
            Self::Standby => "write to the primary",
            Self::Setting => "default_transaction_read_only is on: an operator can change it",
        };
        Error::new(Code::Forbidden, self.to_string()).hint(hint)
    }
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standby => "this database is a standby, which only accepts reads",
            Self::Setting => "the database is set to be read-only for this server",
        })
    }
}

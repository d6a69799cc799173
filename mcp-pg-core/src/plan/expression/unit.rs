//! Units of time for the difference of two timestamps.

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, below};
use crate::plan::grammar::UNIT;

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days of 24 hours.
    Days,
}

impl Unit {
    const ALL: [(&'static str, Unit); 4] = [
        ("seconds", Unit::Seconds),
        ("minutes", Unit::Minutes),
        ("hours", Unit::Hours),
        ("days", Unit::Days),
    ];

    /// Its length in seconds.
    pub fn seconds(self) -> i64 {
        match self {
            Unit::Seconds => 1,
            Unit::Minutes => 60,
            Unit::Hours => 3_600,
            Unit::Days => 86_400,
        }
    }

    /// The unit given beside a difference.
    pub(super) fn asked(object: &Map<String, Value>, at: &str) -> Result<Option<Self>> {
        let given = match object.get(UNIT) {
            None | Some(Value::Null) => return Ok(None),
            Some(given) => given,
        };
        let known = Self::ALL.into_iter().find(|(name, _)| *given == *name);
        known.map(|(_, unit)| Some(unit)).ok_or_else(|| {
            let names = Self::ALL.into_iter().map(|(name, _)| name);
            let error = Error::new(Code::InvalidValue, format!("time is not counted in {given}"));
            let error = error.at(below(at, UNIT)).allowed(names.clone());
            error.nearest(given.as_str().unwrap_or_default(), names)
        })
    }
}

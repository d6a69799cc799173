//! The current time as a value: `{"$now": true}`, or an offset from it, `{"$now": "-7 days"}`.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Code, Error, Result, below};
use crate::plan::{Operand, Scope};
use crate::schema::{DataType, oid};
use crate::value::Span;

/// A time relative to the transaction's.
#[derive(Debug, Clone)]
pub struct Now {
    /// The type of time.
    pub clock: Clock,
    /// The offset, as an `interval`.
    pub offset: Option<Operand>,
}

/// A type of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// `date`, in the session's time zone.
    Day,
    /// `timestamp`, in the session's time zone.
    Local,
    /// `timestamptz`.
    Zoned,
}

impl Clock {
    pub(super) fn data_type(self) -> &'static Arc<DataType> {
        match self {
            Clock::Day => DataType::date(),
            Clock::Local => DataType::timestamp(),
            Clock::Zoned => DataType::timestamptz(),
        }
    }
}

/// The member for the current time.
pub(in crate::plan) const NOW: &str = "$now";

/// The value of `{"$now": …}`.
pub(in crate::plan) fn asked(value: &Value) -> Option<&Value> {
    value.as_object().filter(|members| members.len() == 1)?.get(NOW)
}

impl Now {
    /// The time of `{"$now": given}`, at `at`, for comparison with values of a type; `None` if these contain no date.
    ///
    /// # Errors
    ///
    /// As [`offset`].
    pub(in crate::plan) fn beside(
        scope: &Scope<'_>,
        data_type: &DataType,
        given: &Value,
        at: &str,
    ) -> Result<Option<Self>> {
        let offset = offset(scope, given, &below(at, NOW))?;
        let clock = match data_type.base().oid {
            oid::DATE => Clock::Day,
            oid::TIMESTAMP => Clock::Local,
            oid::TIMESTAMPTZ => Clock::Zoned,
            _ => return Ok(None),
        };
        Ok(Some(Self { clock, offset }))
    }
}

/// The offset; `None` for `true`, which is the current time.
///
/// # Errors
///
/// `invalid_value` at `at`.
pub(in crate::plan) fn offset(
    scope: &Scope<'_>,
    given: &Value,
    at: &str,
) -> Result<Option<Operand>> {
    match given {
        Value::Bool(true) => Ok(None),
        Value::String(text) => {
            let span = Span::parse(text).map_err(|error| error.at(at))?;
            Ok(Some(scope.text(span.interval(), at)))
        }
        _ => Err(Error::new(Code::InvalidValue, "$now takes true, or an offset from the present")
            .at(at)
            .hint("{\"$now\": true}, {\"$now\": \"-7 days\"}")),
    }
}

//! Ranges that begin or end at the current time: `{"lower": {"$now": true}, "upper": {"$now": "2 hours"}}`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::now::{self, Now};
use crate::error::{Code, Error, Result, below};
use crate::plan::{Operand, Scope};
use crate::schema::{DataType, Kind, oid};
use crate::value;

/// A range with such a bound.
#[derive(Debug, Clone)]
pub struct Period {
    /// The type of the range.
    pub data_type: Arc<DataType>,
    /// The range's element type.
    pub element: Arc<DataType>,
    /// The lower and the upper bound.
    pub ends: [End; 2],
    /// Whether the bounds are inclusive, in PostgreSQL's notation.
    pub bounds: &'static str,
}

impl Period {
    /// Whether it is a `daterange`.
    pub(crate) fn holds_days(&self) -> bool {
        self.data_type.oid == oid::DATERANGE
    }
}

/// The built-in range types of time.
const RANGES: [u32; 3] = [oid::TSRANGE, oid::TSTZRANGE, oid::DATERANGE];

/// A bound of a [`Period`].
#[derive(Debug, Clone)]
pub enum End {
    /// Unbounded.
    Open,
    /// A time relative to the present.
    Now(Now),
    /// A value.
    Value(Operand),
}

const ENDS: [&str; 2] = ["lower", "upper"];

/// Whether a value is a range with such a bound.
pub(in crate::plan) fn asked(value: &Value) -> bool {
    ENDS.into_iter().any(|end| value.get(end).is_some_and(|end| now::asked(end).is_some()))
}

impl Scope<'_> {
    /// The range of a value for which [`asked`] is true; `None` if the type is not a range of dates or times.
    ///
    /// # Errors
    ///
    /// `invalid_value`, inside `at`.
    pub(in crate::plan) fn period(
        &self,
        data_type: &Arc<DataType>,
        value: &Value,
        at: &str,
    ) -> Result<Option<Period>> {
        let base = data_type.shared_base();
        let Kind::Range(element) = &base.kind else { return Ok(None) };
        // A user-defined range type may have a function that changes or refuses bounds.
        let built_in = RANGES.contains(&base.oid);
        let Some(members) = value.as_object().filter(|_| built_in && element.has_day()) else {
            return Ok(None);
        };
        let bounds = bounds(&base, members).map_err(|error| error.inside(at))?;
        if !members.contains_key("bounds") && members.get("lower") == members.get("upper") {
            let message = "the range would be empty: without bounds, it does not include upper";
            return Err(Error::new(Code::InvalidValue, message).at(at).hint("\"bounds\": \"[]\""));
        }
        let [lower, upper] = ENDS.map(|end| self.end(element, members.get(end), &below(at, end)));
        let (ends, element) = ([lower?, upper?], Arc::clone(element));
        Ok(Some(Period { data_type: base, element, ends, bounds }))
    }

    fn end(&self, element: &DataType, given: Option<&Value>, at: &str) -> Result<End> {
        let Some(given) = given.filter(|given| !given.is_null()) else { return Ok(End::Open) };
        let now =
            now::asked(given).map(|given| Now::beside(self, element, given, at)).transpose()?;
        match now.flatten() {
            Some(now) => Ok(End::Now(now)),
            None => self.operand_of(element, &element.name, given, at).map(End::Value),
        }
    }
}

/// The `bounds` of an object, which must have no other members than a range.
fn bounds(data_type: &DataType, members: &Map<String, Value>) -> Result<&'static str> {
    let beside = members.iter().filter(|(name, _)| !ENDS.contains(&name.as_str()));
    let beside = beside.map(|(name, member)| (name.clone(), member.clone()));
    value::encode(data_type, &data_type.name, &Value::Object(beside.collect()))?;
    let given = members.get("bounds").and_then(Value::as_str).unwrap_or("[)");
    ["[)", "[]", "(]", "()"].into_iter().find(|known| *known == given).ok_or_else(|| {
        let message = "an empty range has no ends";
        Error::new(Code::InvalidValue, message).at("/bounds")
    })
}

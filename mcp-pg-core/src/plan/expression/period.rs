//! Ranges that begin or end with the present: `{"lower": {"$now": true}, "upper": {"$now": "2 hours"}}`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::now::{self, Now};
use crate::error::{Code, Error, Result, below};
use crate::plan::{Operand, Scope};
use crate::schema::{DataType, Kind};
use crate::value;

/// A range with such an end.
#[derive(Debug, Clone)]
pub struct Period {
    /// The type of the range.
    pub data_type: Arc<DataType>,
    /// The type of what it holds.
    pub element: Arc<DataType>,
    /// Where it begins and ends.
    pub ends: [End; 2],
    /// Whether these are in it, in PostgreSQL's words.
    pub bounds: &'static str,
}

impl Period {
    /// Whether it is a `daterange`.
    pub(crate) fn holds_days(&self) -> bool {
        self.data_type.oid == DAYS
    }
}

/// The range types of PostgreSQL's own: `tsrange`, `tstzrange`, `daterange`.
const RANGES: [u32; 3] = [3908, 3910, DAYS];
const DAYS: u32 = 3912;

/// An end of a [`Period`].
#[derive(Debug, Clone)]
pub enum End {
    /// None.
    Open,
    /// The present, or a time so far from it.
    Now(Now),
    /// This value.
    Value(Operand),
}

const ENDS: [&str; 2] = ["lower", "upper"];

/// Whether a value is a range with the present for an end.
pub(in crate::plan) fn asked(value: &Value) -> bool {
    ENDS.into_iter().any(|end| value.get(end).is_some_and(|end| now::asked(end).is_some()))
}

impl Scope<'_> {
    /// The range that a value is which [`asked`] for the present; `None` if the type is none of ranges of dates or times.
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
        // What a range type of people's own makes of its ends, its own function says, and refuses.
        let built_in = RANGES.contains(&base.oid);
        let Some(members) = value.as_object().filter(|_| built_in && element.has_day()) else {
            return Ok(None);
        };
        let bounds = bounds(&base, members).map_err(|error| error.inside(at))?;
        let [lower, upper] = ENDS.map(|end| self.end(element, members.get(end), &below(at, end)));
        let (ends, element) = ([lower?, upper?], Arc::clone(element));
        Ok(Some(Period { data_type: base, element, ends, bounds }))
    }

    fn end(&self, element: &DataType, given: Option<&Value>, at: &str) -> Result<End> {
        let Some(given) = given.filter(|given| !given.is_null()) else { return Ok(End::Open) };
        let now = now::asked(given).map(|given| Now::beside(element, given, at)).transpose()?;
        match now.flatten() {
            Some(now) => Ok(End::Now(now)),
            None => self.operand_of(element, &element.name, given, at).map(End::Value),
        }
    }
}

/// The bounds that an object gives, which has no other members than a range.
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

//! Geometric operands of conditions.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::filter::wrong;
use crate::error::{Code, Error, Result};
use crate::schema::DataType;

/// The range of coordinates and radii, besides 0. Beyond it, PostgreSQL's distances and slopes overflow or underflow
/// for rows with ordinary values, and the error would reveal rows that the caller does not see.
const WITHIN: RangeInclusive<f64> = 1e-15..=1e15;

/// The type of a geometric text: `(9,51),(8,50)` is a box, `<(8,50),2>` a circle, `((8,50),(9,50),(9,51))` a polygon.
///
/// # Errors
///
/// `invalid_value` at `at` for any other text.
pub(super) fn area(value: &Value, at: &str) -> Result<&'static DataType> {
    let text = value.as_str().unwrap_or_default().trim();
    match text.matches(',').count() {
        2 if text.starts_with('<') => Ok(DataType::circle()),
        3 => Ok(DataType::rectangle()),
        numbers if numbers > 3 && numbers % 2 == 1 => Ok(DataType::polygon()),
        _ => Err(wrong("contained_by of a point takes an area", at).hint(
            "a box \"(9,51),(8,50)\", a circle \"<(8.5,50.5),2>\" or a polygon \"((8,50),(9,50),(9,51))\"",
        )),
    }
}

/// Refuses a geometric value with numbers out of range, or whose numbers cannot be read.
///
/// # Errors
///
/// `invalid_value` at `at`.
pub(in crate::plan) fn require_near(data_type: &DataType, value: &Value, at: &str) -> Result<()> {
    if !data_type.is_planar() || is_near(value) {
        return Ok(());
    }
    let (least, most) = (WITHIN.start(), WITHIN.end());
    let message = format!("coordinates are plain numbers here: 0, or from {least:e} to {most:e}");
    Err(Error::new(Code::InvalidValue, message).at(at).hint("for example \"(8.5,50.5)\""))
}

fn is_near(value: &Value) -> bool {
    let near = |number: f64| number == 0.0 || WITHIN.contains(&number.abs());
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Number(number) => number.as_f64().is_some_and(near),
        Value::String(text) => {
            let apart = |c: char| c.is_whitespace() || "(),<>[]{}".contains(c);
            let mut numbers = text.split(apart).filter(|number| !number.is_empty());
            numbers.all(|number| number.parse().is_ok_and(near))
        }
        Value::Array(items) => items.iter().all(is_near),
        Value::Object(members) => members.values().all(is_near),
    }
}

//! PostgreSQL values as JSON, and JSON as PostgreSQL values.
//!
//! [`Decoder`] turns the bytes of a result into JSON; [`encode()`] turns JSON into the text of a parameter. Each
//! accepts what the other produces. Knows types, but no tables, roles, requests or statements.
//!
//! The text forms are those of a session with `DateStyle` ISO, `IntervalStyle` postgres, `TimeZone` UTC,
//! `bytea_output` hex and `extra_float_digits` 1.
//!
//! | PostgreSQL | JSON |
//! |---|---|
//! | boolean | `true`, `false` |
//! | smallint, integer, oid | number |
//! | bigint | number, or a string of digits beyond ±(2^53−1) |
//! | numeric | number, or a string of digits where a double cannot hold them all |
//! | real, double precision | number; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | date, time | `"2024-01-31"`, `"13:45:00.5"` |
//! | timestamp, timestamptz | `"2024-01-31T13:45:00"`, `"2024-01-31T13:45:00Z"` |
//! | bytea | base64 with padding; `\\x` and hexadecimal digits are taken, too |
//! | json, jsonb | itself |
//! | array | array, nested for each dimension |
//! | composite | object, fields in order |
//! | range | `{"lower": 1, "upper": 5, "bounds": "[)"}`; empty: `"bounds": "empty"` |
//! | multirange | array of ranges |
//! | any other | its text form, as a string |
//!
//! What JSON cannot express is lost: the lower bounds of an array that does not start at 1, the trailing zeros of an
//! unconstrained numeric, the difference between a json `null` and SQL NULL. Within json, a number that JSON numbers
//! cannot hold becomes a string of its digits. Json nested more than 127 levels deep becomes a string of its text. If
//! an element is itself written as an array (json, a multirange), an array of several dimensions is a string with its
//! PostgreSQL literal.

mod datetime;
mod decimal;
mod decode;
mod encode;
mod json;
mod json_schema;
mod like;
mod nested;
mod numeric;
mod parameter;
mod raw;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod sample;
mod scalar;
mod span;

pub use datetime::{day_after, local};
pub use decimal::Decimal;
pub use decode::Decoder;
pub(crate) use encode::{RANGE, bytes, encode_operand, in_quotes, is_point, is_posix_zone};
pub use encode::{encode, is_left_to_postgresql, text_array};
pub use json_schema::{accepted, or_null, produced};
pub(crate) use like::escape_like;
pub use nested::{FieldBytes, elements, fields};
pub use parameter::Text;
pub use raw::Raw;
pub use span::Span;

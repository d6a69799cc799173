//! Advice for functions of other languages.

use serde_json::{Map, Value};

use crate::error::{Code, Error};
use crate::plan::Arithmetic;
use crate::plan::grammar::SINCE;

/// What to use instead of a function that does not exist here.
pub(in crate::plan) fn instead(name: &str) -> Option<&'static str> {
    let name = name.trim_start_matches('$').to_ascii_lowercase();
    Some(match name.as_str() {
        "concat" | "concat_ws" | "lower" | "upper" | "trim" | "substr" | "substring"
        | "replace" | "length" => {
            "texts are returned as they are, each column by itself: join and change them in the answer"
        }
        "coalesce" | "ifnull" | "nullif" | "case" | "if" | "iif" | "when" => {
            "null stays null, and no value depends on a condition: where, also that of a measure, tells such rows apart"
        }
        "round" | "floor" | "ceil" | "ceiling" | "trunc" | "abs" | "mod" | "power" | "sqrt" => {
            "numbers are computed with exactly, by add, subtract, multiply and divide: round them in the answer"
        }
        "first" | "last" | "first_value" | "last_value" => {
            "min and max are the first and the last value; for the whole row, select with order_by and \"limit\": 1"
        }
        "mode" => "group by the value, and order by the count of its rows",
        "running" | "rank" | "ntile" | "running_sum" | "running_total" | "cumulative"
        | "cumsum" | "cumulative_sum" | "row_number" | "dense_rank" | "lag" | "lead" | "over"
        | "window" | "moving_avg" => {
            "each row or group is computed by itself: sort them by order_by, and add up in the answer"
        }
        _ => return None,
    })
}

/// The error for an unknown member of an object where arithmetic is also possible.
pub(in crate::plan) fn or_computed(
    object: &Map<String, Value>,
    known: &[&'static str],
    error: Error,
) -> Error {
    let all = || known.iter().copied().chain(Arithmetic::names());
    let Some(other) = object.keys().find(|key| all().all(|name| name != *key)) else {
        return error;
    };
    let error = error.allowed(all());
    match instead(other) {
        Some(hint) => error.hint(hint),
        None => error.nearest(other, all()),
    }
}

/// The error for an unknown kind of arithmetic.
pub(in crate::plan) fn unknown_arithmetic(name: &str) -> Error {
    let names = Arithmetic::names();
    let error = Error::new(Code::UnknownOperator, format!("nothing is computed by {name:?}"));
    let error = error.allowed(names.clone());
    match name.trim_start_matches('$').to_ascii_lowercase().as_str() {
        "now" | "age" => error.hint(SINCE),
        "where" | "filter" => {
            error.hint("{\"count\": \"*\", \"where\": {…}}: the condition goes beside the function")
        }
        "*" | "mul" | "times" | "product" => error.did_you_mean("multiply"),
        "/" | "div" | "ratio" | "quotient" => error.did_you_mean("divide"),
        "+" | "plus" | "sum" => error.did_you_mean("add"),
        "-" | "sub" | "minus" | "difference" | "datediff" => error.did_you_mean("subtract"),
        plain => match instead(plain) {
            Some(hint) => error.hint(hint),
            None => error.nearest(plain, names).hint("{\"multiply\": [\"price\", \"quantity\"]}"),
        },
    }
}

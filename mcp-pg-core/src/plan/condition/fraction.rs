//! Fractions as operands of integer columns.

use serde_json::Value;

use crate::schema::{DataType, Operator, oid};

const WHOLE: [u32; 3] = [oid::SMALLINT, oid::INTEGER, oid::BIGINT];

/// The integer that is equivalent to a fraction for this operator: greater than 113.5 is greater than 113. `None` if
/// the type, the operator or the value does not fit.
pub(super) fn bound(data_type: &DataType, operator: Operator, value: &Value) -> Option<Value> {
    if !WHOLE.contains(&data_type.base().oid) {
        return None;
    }
    let below = floor(value)?;
    Some(Value::from(match operator {
        Operator::Gt | Operator::Lte => below,
        Operator::Gte | Operator::Lt => below + 1,
        _ => return None,
    }))
}

/// The greatest integer below a fraction, which may be written as a text.
fn floor(value: &Value) -> Option<i64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.as_str()),
    };
    let (whole, fraction) = digits.split_once('.')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let is_fraction = number(whole) && number(fraction) && fraction.bytes().any(|d| d != b'0');
    // Beyond this, the number itself is refused for every integer type.
    let whole = whole.parse::<i64>().ok().filter(|whole| is_fraction && *whole < i64::MAX)?;
    Some(if negative { -whole - 1 } else { whole })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_fraction_lies_above_the_whole_number_below_it() {
        for (value, below) in [
            (json!(113.09), Some(113)),
            (json!("113.0900"), Some(113)),
            (json!(-0.5), Some(-1)),
            (json!("-7.25"), Some(-8)),
            (json!("9223372036854775806.5"), Some(i64::MAX - 1)),
            (json!("9223372036854775807.5"), None),
            (json!("-9223372036854775807.5"), None),
            (json!(7), None),
            (json!("7.0"), None),
            (json!("7"), None),
            (json!("7."), None),
            (json!(".5"), None),
            (json!("+1.5"), None),
            (json!("1.5e3"), None),
            (json!("a.b"), None),
            (json!(null), None),
        ] {
            assert_eq!(floor(&value), below, "{value}");
        }
    }
}

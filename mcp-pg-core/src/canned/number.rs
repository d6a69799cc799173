//! Numbers of any size, as JSON and as their digits, compared exactly.

use std::cmp::Ordering;

use serde_json::Value;

/// Compares two numbers, each a JSON number or a text of its digits; `None` if one is neither.
pub(super) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    let (a, b) = (Digits::of(&text(a)?)?, Digits::of(&text(b)?)?);
    Some(match (a.negative, b.negative) {
        (false, true) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, false) => a.magnitude(&b),
        (true, true) => b.magnitude(&a),
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.trim().to_owned()),
        _ => None,
    }
}

/// `0.digits · 10^exponent`, without zeros at either end.
struct Digits {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Digits {
    fn of(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        if all().next().is_none() || !all().all(|c| c.is_ascii_digit()) {
            return None;
        }
        let zeros = all().take_while(|c| *c == b'0').count();
        let mut digits: Vec<u8> = all().skip(zeros).collect();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        let places = i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()?;
        Some(Self {
            negative: text.starts_with('-') && !digits.is_empty(),
            exponent: if digits.is_empty() { i64::MIN } else { i64::from(exponent) + places },
            digits,
        })
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_compared_exactly() {
        for (a, b, expected) in [
            (json!(1), json!(2), Ordering::Less),
            (json!(10), json!(9), Ordering::Greater),
            (json!("9007199254740993"), json!(9_007_199_254_740_992_u64), Ordering::Greater),
            (json!(-1), json!(0), Ordering::Less),
            (json!("-0.0"), json!(0), Ordering::Equal),
            (json!("1.50"), json!(1.5), Ordering::Equal),
            (json!("1e3"), json!(1000), Ordering::Equal),
            (json!("0.001"), json!("1e-3"), Ordering::Equal),
            (json!(0.01), json!(0.001), Ordering::Greater),
            (json!(-5), json!(-4.5), Ordering::Less),
        ] {
            assert_eq!(compare(&a, &b), Some(expected), "{a} {b}");
        }
        assert_eq!(compare(&json!("many"), &json!(1)), None);
        assert_eq!(compare(&json!(true), &json!(1)), None);
    }
}

//! Numbers as JSON numbers if those are exact, otherwise as strings of digits.

use std::io::Write;

use serde_json::{Number, Value};

use super::decimal::Decimal;

/// 2^53 − 1: up to this, doubles hold every integer, and no two integers have the same double.
pub(super) const SAFE: i64 = (1 << 53) - 1;

/// The number of decimal digits that a double always keeps.
const SURE_DIGITS: usize = 15;

/// Powers of ten that are exact doubles.
const TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// An integer: a number, or a string of digits beyond [`SAFE`].
pub(super) fn from_integer(value: i64) -> Value {
    if value.unsigned_abs() <= SAFE.unsigned_abs() {
        Value::from(value)
    } else {
        Value::String(value.to_string())
    }
}

/// A `double precision` value: a number, or the name of a value that JSON has no number for.
pub(super) fn from_double(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::from("NaN"),
        None if value > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}

/// A `real` value, as the shortest decimal that identifies it: 0.1, not 0.10000000149011612.
pub(super) fn from_real(value: f32) -> Value {
    let mut buffer = [0; 32];
    let mut rest = buffer.as_mut_slice();
    let shortest = match write!(rest, "{value:e}") {
        Ok(()) => {
            let unused = rest.len();
            buffer
                .get(..buffer.len() - unused)
                .and_then(|digits| str::from_utf8(digits).ok())
                .and_then(|digits| digits.parse().ok())
        }
        Err(_) => None,
    };
    from_double(shortest.unwrap_or(f64::from(value)))
}

/// The text form of a numeric: plain digits, or a name such as `NaN`.
pub(super) fn from_text(text: &str) -> Value {
    exact(text).unwrap_or_else(|| Value::from(text))
}

/// The JSON number equal to the text form of a numeric, if there is one.
fn exact(text: &str) -> Option<Value> {
    let whole = match text.split_once('.') {
        Some((whole, fraction)) => fraction.bytes().all(|digit| digit == b'0').then_some(whole),
        None => Some(text),
    };
    match whole {
        Some(whole) => whole
            .parse::<i64>()
            .ok()
            .filter(|value| value.unsigned_abs() <= SAFE.unsigned_abs())
            .map(Value::from),
        None => sure_double(text).and_then(Number::from_f64).map(Value::Number),
    }
}

/// The double for a decimal with a point, if the decimal identifies it.
fn sure_double(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['-', '0', '.']).trim_end_matches('0');
    let count = digits.bytes().filter(u8::is_ascii_digit).count();
    match text.len() {
        _ if count > SURE_DIGITS => None,
        // Very small doubles have fewer digits.
        300.. => exact_double(text).filter(|value| is_sure(*value)),
        _ => text.parse().ok(),
    }
}

/// The binary form of a numeric; `None` if it is malformed.
pub(super) fn from_binary(raw: &[u8]) -> Option<Value> {
    let (&[c0, c1, w0, w1, s0, s1, d0, d1], digits) = raw.split_first_chunk::<8>()?;
    let (digits, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() || usize::from(u16::from_be_bytes([c0, c1])) != digits.len() {
        return None;
    }
    let negative = match u16::from_be_bytes([s0, s1]) {
        0x0000 => false,
        0x4000 => true,
        0xC000 => return Some(Value::from("NaN")),
        0xD000 => return Some(Value::from("Infinity")),
        0xF000 => return Some(Value::from("-Infinity")),
        _ => return None,
    };
    let weight = i16::from_be_bytes([w0, w1]);
    Some(short(negative, weight, digits).unwrap_or_else(|| {
        let text = plain(negative, weight, u16::from_be_bytes([d0, d1]), digits);
        exact(&text).unwrap_or(Value::String(text))
    }))
}

/// The value of a few base-10000 digits, if floating-point arithmetic is certainly exact.
fn short(negative: bool, weight: i16, digits: &[[u8; 2]]) -> Option<Value> {
    let mut magnitude = match digits.len() {
        0 => return Some(Value::from(0)),
        1..=4 => digits.iter().fold(0, |sum, &digit| sum * 10_000 + u64::from(group(digit))),
        _ => return None,
    };
    let mut scale = 4 * (i32::try_from(digits.len()).ok()? - 1 - i32::from(weight));
    while scale > 0 && magnitude % 10 == 0 {
        // Zero would be divided for ever.
        if magnitude == 0 {
            return Some(Value::from(0));
        }
        magnitude /= 10;
        scale -= 1;
    }
    if scale <= 0 {
        let whole = 10_u64.checked_pow(scale.unsigned_abs())?.checked_mul(magnitude)?;
        let whole = i64::try_from(whole).ok().filter(|&whole| whole <= SAFE)?;
        return Some(Value::from(if negative { -whole } else { whole }));
    }
    // Both operands are exact doubles, so the division rounds once, to the double nearest to the decimal. A double
    // always keeps 15 digits.
    let divisor = TENS.get(usize::try_from(scale).ok()?)?;
    let value = (magnitude < 1_000_000_000_000_000).then_some(magnitude as f64 / divisor)?;
    Some(from_double(if negative { -value } else { value }))
}

/// The digits, as `numeric_out` prints them.
fn plain(negative: bool, weight: i16, scale: u16, digits: &[[u8; 2]]) -> String {
    let digit = |position: i32| {
        usize::try_from(position)
            .ok()
            .and_then(|position| digits.get(position))
            .map_or(0, |&d| group(d))
    };
    let mut text = String::from(if negative { "-" } else { "" });
    let weight = i32::from(weight);
    if weight < 0 {
        text.push('0');
    }
    for position in 0..=weight {
        let digits = decimal(digit(position));
        let zeros = digits.iter().take(3).take_while(|digit| **digit == '0').count();
        text.extend(digits.iter().skip(if position == 0 { zeros } else { 0 }));
    }
    if scale > 0 {
        text.push('.');
        let end = text.len() + usize::from(scale);
        let mut position = weight + 1;
        while text.len() < end {
            text.extend(decimal(digit(position)));
            position += 1;
        }
        text.truncate(end);
    }
    text
}

/// A base-10000 digit. Greater values would be malformed.
fn group(digit: [u8; 2]) -> u16 {
    u16::from_be_bytes(digit).min(9_999)
}

/// The four decimal digits of a base-10000 digit.
fn decimal(group: u16) -> [char; 4] {
    [group / 1000, group / 100 % 10, group / 10 % 10, group % 10]
        .map(|digit| char::from(b'0' + digit as u8))
}

/// Whether the double's shortest decimal has at most [`SURE_DIGITS`] digits, so that no other decimal of this length
/// is the same double.
pub(super) fn is_sure(double: f64) -> bool {
    let shortest = format!("{double:e}");
    let mantissa = shortest.split('e').next().unwrap_or_default();
    mantissa.bytes().filter(u8::is_ascii_digit).count() <= SURE_DIGITS
}

/// The double that JSON prints as this decimal, if there is one. Printers differ where two decimals are equally short
/// and equally near; this follows the printer of `serde_json`.
pub(super) fn exact_double(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    let written = Number::from_f64(value)?.to_string();
    (Decimal::of(text)? == Decimal::of(&written)?).then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wire(sign: u16, weight: i16, scale: u16, digits: &[u16]) -> Vec<u8> {
        let count = u16::try_from(digits.len()).unwrap();
        let mut raw = Vec::new();
        raw.extend(count.to_be_bytes());
        raw.extend(weight.to_be_bytes());
        raw.extend(sign.to_be_bytes());
        raw.extend(scale.to_be_bytes());
        raw.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
        raw
    }

    #[test]
    fn text_is_a_number_only_where_a_double_holds_every_digit() {
        for (text, expected) in [
            ("0", json!(0)),
            ("-5.00", json!(-5)),
            ("4.99", json!(4.99)),
            ("9007199254740991", json!(9_007_199_254_740_991_i64)),
            ("9007199254740992", json!("9007199254740992")),
            ("-9007199254740992.00", json!("-9007199254740992.00")),
            ("12345678901234.6", json!(12345678901234.6)),
            ("123456789012345.6", json!("123456789012345.6")),
            ("0.30000000000000004", json!("0.30000000000000004")),
            ("9007199254740991.5", json!("9007199254740991.5")),
            ("0.123456789012345", json!(0.123456789012345)),
            ("0.1234567890123456", json!("0.1234567890123456")),
            ("0.12345678901234567890", json!("0.12345678901234567890")),
            ("3.24159265358979", json!(3.24159265358979)),
            ("3.241592653589793238", json!("3.241592653589793238")),
            ("NaN", json!("NaN")),
            ("-Infinity", json!("-Infinity")),
        ] {
            assert_eq!(from_text(text), expected, "{text}");
        }
    }

    #[test]
    fn binary_agrees_with_text() {
        for (raw, expected) in [
            (wire(0, 0, 0, &[]), json!(0)),
            (wire(0, 0, 2, &[4, 9900]), json!(4.99)),
            (wire(0x4000, 0, 2, &[5]), json!(-5)),
            (wire(0, -1, 4, &[1]), json!(0.0001)),
            (wire(0, 2, 0, &[1]), json!(100_000_000)),
            (wire(0, 3, 0, &[9007, 1992, 5474, 991]), json!(9_007_199_254_740_991_i64)),
            (wire(0, 3, 1, &[9007, 1992, 5474, 992]), json!("9007199254740992.0")),
            (wire(0, 4, 0, &[1, 0, 0, 0, 7]), json!("10000000000000007")),
            (wire(0, -3, 12, &[7]), json!(7e-12)),
            (wire(0, 0, 20, &[1, 2345, 6789, 123, 4567, 8901]), json!("1.23456789012345678901")),
            (wire(0, 1, 12, &[12, 34, 5, 600, 70]), json!("120034.000506000070")),
            (wire(0x4000, 0, 16, &[1, 0, 0, 0, 5000]), json!(-1.0000000000005)),
            (wire(0xC000, 0, 0, &[]), json!("NaN")),
            (wire(0xD000, 0, 0, &[]), json!("Infinity")),
        ] {
            assert_eq!(from_binary(&raw), Some(expected), "{raw:?}");
        }
        for raw in [&[][..], &[0; 7], &[0, 1, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 9, 9, 0, 0]] {
            assert_eq!(from_binary(raw), None, "{raw:?}");
        }
    }

    #[test]
    fn floats_are_the_shortest_decimal() {
        assert_eq!(from_real(0.1), json!(0.1));
        assert_eq!(from_real(f32::MAX), json!(3.4028235e38));
        assert_eq!(from_real(f32::NEG_INFINITY), json!("-Infinity"));
        assert_eq!(from_real(f32::NAN), json!("NaN"));
        assert_eq!(from_double(f64::INFINITY), json!("Infinity"));
        assert_eq!(from_double(1e300), json!(1e300));
    }
}

//! Decimal numbers of any size, parsed from text and compared exactly.

use std::cmp::Ordering;

/// A decimal number: ±0.`whole``fraction` × 10^`exponent`, with no zeros at either end of the digits.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'t> {
    negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

impl<'t> Decimal<'t> {
    /// Parses digits with an optional sign, point and exponent; `None` for any other text.
    pub fn of(text: &'t str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let (places, whole, fraction) = match (whole, fraction) {
            ("", fraction) => {
                let digits = fraction.trim_start_matches('0');
                (-i64::try_from(fraction.len() - digits.len()).ok()?, "", digits)
            }
            (whole, "") => (i64::try_from(whole.len()).ok()?, whole.trim_end_matches('0'), ""),
            (whole, fraction) => (i64::try_from(whole.len()).ok()?, whole, fraction),
        };
        let zero = whole.is_empty() && fraction.is_empty();
        let exponent = if zero { i64::MIN } else { exponent.checked_add(places)? };
        Some(Self { negative: !zero && text.starts_with('-'), whole, fraction, exponent })
    }

    /// The number of digits before the decimal point: negative if zeros follow the point, `None` for zero.
    pub(crate) fn whole_digits(&self) -> Option<i64> {
        (self.exponent != i64::MIN).then_some(self.exponent)
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        let digits = |of: &Self| of.whole.bytes().chain(of.fraction.bytes());
        self.exponent.cmp(&other.exponent).then_with(|| digits(self).cmp(digits(other)))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_exactly() {
        for (a, b, expected) in [
            ("1", "2", Ordering::Less),
            ("10", "9", Ordering::Greater),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("-1", "0", Ordering::Less),
            ("-0.0", "0", Ordering::Equal),
            ("1.50", "+1.5", Ordering::Equal),
            ("1e3", "1000", Ordering::Equal),
            ("0.001", "1e-3", Ordering::Equal),
            (".5", "5.E-1", Ordering::Equal),
            ("0.01", "0.001", Ordering::Greater),
            ("-5", "-4.5", Ordering::Less),
            ("100.01", "100.001", Ordering::Greater),
            ("0e999", "-1e-999", Ordering::Greater),
        ] {
            assert_eq!(Decimal::of(a).unwrap().cmp(&Decimal::of(b).unwrap()), expected, "{a} {b}");
        }
    }

    #[test]
    fn what_is_no_number_has_no_value() {
        for text in [
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e+-5",
            "--1",
            "1.2.3",
            "0x1",
            "NaN",
            " 1",
            "1e99999999999999999999",
        ] {
            assert_eq!(Decimal::of(text), None, "{text}");
        }
    }

    #[test]
    fn digits_before_the_point_are_counted() {
        for (text, digits) in [
            ("123.4", Some(3)),
            ("0012", Some(2)),
            ("100", Some(3)),
            ("0.5", Some(0)),
            ("0.005", Some(-2)),
            ("1.5e3", Some(4)),
            ("0.00", None),
        ] {
            assert_eq!(Decimal::of(text).unwrap().whole_digits(), digits, "{text}");
        }
    }
}

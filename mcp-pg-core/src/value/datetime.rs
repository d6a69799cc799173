//! Dates and times as ISO 8601 text, from PostgreSQL's binary and text forms.
//!
//! Years before 1 are written as PostgreSQL reads and writes them: `0044-03-15 BC`. Years after 9999 have as many
//! digits as they need.

use serde_json::Value;

use crate::error::{Code, Error, Result};

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
const EPOCH_DAYS: i64 = 10_957;
const DAY_MICROS: i64 = 86_400_000_000;

/// A date, from the days since 2000-01-01.
pub(super) fn date(days: i32) -> Value {
    match days {
        i32::MAX => Value::from("infinity"),
        i32::MIN => Value::from("-infinity"),
        days => {
            let mut text = String::with_capacity(10);
            let era = push_date(&mut text, i64::from(days));
            text.push_str(era);
            Value::String(text)
        }
    }
}

/// A time of day, from the microseconds since midnight.
pub(super) fn time(micros: i64) -> Value {
    let mut text = String::with_capacity(15);
    push_time(&mut text, micros.clamp(0, DAY_MICROS));
    Value::String(text)
}

/// A timestamp, from the microseconds since 2000-01-01. `zone` (`Z` or nothing) follows the time.
pub(super) fn timestamp(micros: i64, zone: &str) -> Value {
    match micros {
        i64::MAX => Value::from("infinity"),
        i64::MIN => Value::from("-infinity"),
        micros => {
            let mut text = String::with_capacity(27);
            let era = push_date(&mut text, micros.div_euclid(DAY_MICROS));
            text.push('T');
            push_time(&mut text, micros.rem_euclid(DAY_MICROS));
            text.push_str(zone);
            text.push_str(era);
            Value::String(text)
        }
    }
}

/// A point in time with the offset of a time zone, from the bytes of the `timestamptz` and of the `timestamp` in that
/// zone. Without the latter, in UTC.
///
/// # Errors
///
/// `internal` if the bytes are not of these types.
pub fn local(moment: Option<&[u8]>, clock: Option<&[u8]>) -> Result<Value> {
    let micros = |raw: &[u8]| {
        let raw = raw.try_into().map(i64::from_be_bytes);
        raw.map_err(|_| Error::new(Code::Internal, "a time came in a form that it does not have"))
    };
    let (moment, clock) = (moment.map(micros).transpose()?, clock.map(micros).transpose()?);
    let Some(moment) = moment else { return Ok(Value::Null) };
    let Some((clock, ahead)) = clock.and_then(|clock| Some((clock, clock.checked_sub(moment)?)))
    else {
        return Ok(timestamp(moment, "Z"));
    };
    let seconds = (ahead / 1_000_000).abs();
    if seconds == 0 {
        return Ok(timestamp(clock, "Z"));
    }
    let mut zone = String::from(if ahead < 0 { "-" } else { "+" });
    push_clock(&mut zone, seconds / 3_600, seconds / 60 % 60);
    // Offsets from before time zones were introduced may have seconds.
    if seconds % 60 > 0 {
        zone.push(':');
        push_pair(&mut zone, seconds % 60);
    }
    Ok(timestamp(clock, &zone))
}

/// A timestamp from its text form: `2024-01-31 13:45:00+00`.
pub(super) fn timestamp_from_text(text: &str) -> Value {
    let (moment, era) = match text.strip_suffix(" BC") {
        Some(moment) => (moment, " BC"),
        None => (text, ""),
    };
    let (moment, zone) = match moment.strip_suffix("+00") {
        Some(moment) => (moment, "Z"),
        None => (moment, ""),
    };
    Value::String(match moment.split_once(' ') {
        Some((date, time)) => format!("{date}T{time}{zone}{era}"),
        None => format!("{moment}{zone}{era}"),
    })
}

/// Writes the date, and returns the suffix of the whole text: ` BC` or nothing.
fn push_date(text: &mut String, days: i64) -> &'static str {
    let (year, month, day) = civil(days + EPOCH_DAYS);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    match year {
        ..10_000 => {
            push_pair(text, year / 100);
            push_pair(text, year);
        }
        _ => push_digits(text, year, 5),
    }
    text.push('-');
    push_pair(text, month);
    text.push('-');
    push_pair(text, day);
    era
}

/// Writes hours and minutes with two digits each.
fn push_clock(text: &mut String, hours: i64, minutes: i64) {
    push_pair(text, hours);
    text.push(':');
    push_pair(text, minutes);
}

fn push_time(text: &mut String, micros: i64) {
    let seconds = micros / 1_000_000;
    push_clock(text, seconds / 3_600, seconds / 60 % 60);
    text.push(':');
    push_pair(text, seconds % 60);
    let mut fraction = micros % 1_000_000;
    if fraction > 0 {
        let mut width = 6;
        while fraction % 10 == 0 {
            fraction /= 10;
            width -= 1;
        }
        text.push('.');
        push_digits(text, fraction, width);
    }
}

/// Writes a non-negative number with at least `width` digits.
fn push_digits(text: &mut String, number: i64, width: u32) {
    let mut unit = 10_i64.pow(width - 1);
    while number / unit > 9 {
        unit *= 10;
    }
    while unit > 0 {
        text.push(digit(number / unit));
        unit /= 10;
    }
}

/// Writes the last two digits of a number. Division by constants is much faster than by a computed divisor.
fn push_pair(text: &mut String, number: i64) {
    text.push(digit(number / 10));
    text.push(digit(number));
}

/// The last digit of a non-negative number.
fn digit(number: i64) -> char {
    // A remainder of ten is a single digit.
    char::from(b'0' + u8::try_from(number % 10).unwrap_or(0))
}

/// Year, month and day of the days since 1970-01-01, in the proleptic Gregorian calendar.
///
/// Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The day after a date written as `2024-01-31`; `None` for any other text.
pub fn day_after(text: &str) -> Option<String> {
    let digits = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    let [year, month, day] = text.split('-').collect::<Vec<_>>().try_into().ok()?;
    if text.len() != 10 || year.len() != 4 || month.len() != 2 || !text.bytes().all(digits) {
        return None;
    }
    let [year, month, day]: [i64; 3] = [year.parse().ok()?, month.parse().ok()?, day.parse().ok()?];
    let (year, month, day) = match (month, day) {
        (1..=12, 1..) if day < days_in_month(year, month) => (year, month, day + 1),
        (1..=11, 1..) if day == days_in_month(year, month) => (year, month + 1, 1),
        (12, 31) => (year + 1, 1, 1),
        _ => return None,
    };
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

/// The number of days in the month. Year 0 is 1 BC.
pub(super) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_after() {
        for (day, next) in [
            ("2024-02-28", Some("2024-02-29")),
            ("2023-02-28", Some("2023-03-01")),
            ("2024-12-31", Some("2025-01-01")),
            ("2024-06-30", Some("2024-07-01")),
            ("2024-06-31", None),
            ("2024-13-01", None),
            ("2024-06-30T00:00:00Z", None),
            ("24-06-30", None),
            ("----------", None),
            ("", None),
        ] {
            assert_eq!(day_after(day).as_deref(), next, "{day}");
        }
    }

    #[test]
    fn dates() {
        for (days, expected) in [
            (0, "2000-01-01"),
            (-1, "1999-12-31"),
            (59, "2000-02-29"),
            (8_796, "2024-01-31"),
            (-730_119, "0001-01-01"),
            (-730_120, "0001-12-31 BC"),
            (2_921_940, "10000-01-01"),
            (i32::MAX, "infinity"),
            (i32::MIN, "-infinity"),
        ] {
            assert_eq!(date(days), expected);
        }
        // Out of PostgreSQL's range, but must not overflow.
        date(i32::MAX - 1);
        date(i32::MIN + 1);
    }

    #[test]
    fn times() {
        for (micros, expected) in [
            (0, "00:00:00"),
            (DAY_MICROS, "24:00:00"),
            (49_500_500_000, "13:45:00.5"),
            (1, "00:00:00.000001"),
        ] {
            assert_eq!(time(micros), expected);
        }
        time(i64::MIN);
    }

    #[test]
    fn a_zone_has_its_own_clocks() {
        let hour = 3_600_000_000;
        for (moment, clock, expected) in [
            (0, Some(hour), "2000-01-01T01:00:00+01:00"),
            (0, Some(-hour / 2), "1999-12-31T23:30:00-00:30"),
            (0, Some(3_208_000_000), "2000-01-01T00:53:28+00:53:28"),
            (0, Some(0), "2000-01-01T00:00:00Z"),
            (
                -DAY_MICROS * 730_120,
                Some(hour - DAY_MICROS * 730_120),
                "0001-12-31T01:00:00+01:00 BC",
            ),
            (i64::MAX, None, "infinity"),
        ] {
            let clock = clock.map(i64::to_be_bytes);
            let clock = clock.as_ref().map(<[u8; 8]>::as_slice);
            assert_eq!(local(Some(&moment.to_be_bytes()), clock).unwrap(), expected);
        }
        assert!(local(None, None).unwrap().is_null());
        assert!(local(Some(&[0]), None).is_err());
    }

    #[test]
    fn timestamps_agree_with_their_text() {
        for (micros, text, expected) in [
            (0, "2000-01-01 00:00:00+00", "2000-01-01T00:00:00Z"),
            (-1, "1999-12-31 23:59:59.999999+00", "1999-12-31T23:59:59.999999Z"),
            (-DAY_MICROS * 730_120, "0001-12-31 00:00:00+00 BC", "0001-12-31T00:00:00Z BC"),
            (i64::MAX, "infinity", "infinity"),
            (i64::MIN, "-infinity", "-infinity"),
        ] {
            assert_eq!(timestamp(micros, "Z"), expected);
            assert_eq!(timestamp_from_text(text), expected);
        }
        assert_eq!(timestamp(0, ""), "2000-01-01T00:00:00");
        assert_eq!(timestamp_from_text("2000-01-01 00:00:00"), "2000-01-01T00:00:00");
        timestamp(i64::MIN + 1, "");
    }
}

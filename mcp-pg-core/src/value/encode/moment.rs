//! Dates and times from callers. Refuses texts that cannot be one, words whose meaning depends on the current time,
//! and dates that do not begin with the year, because month and day would be a guess.

use super::scalar::Reason;
use crate::value::Span;
use crate::value::datetime;
use crate::value::scalar::Scalar;

/// PostgreSQL's special inputs, without the infinities.
const WORDS: [&str; 6] = ["now", "today", "tomorrow", "yesterday", "epoch", "allballs"];

/// Checks the text of a date, time or timestamp.
pub(super) fn check(scalar: Scalar, text: &str) -> Result<(), Reason> {
    let mut words = text.split(|letter: char| !letter.is_ascii_alphabetic());
    let now = Span::from_now(text);
    let is_word = |word: &str| WORDS.iter().any(|known| known.eq_ignore_ascii_case(word));
    if now.is_some() || words.any(is_word) {
        return Err(Reason::Present(now));
    }
    if scalar == Scalar::Time {
        check_time(text)?;
        if iso_date(text).is_some() {
            return Err(lost("a time with a date", "13:45:00"));
        }
        return if is_elsewhere(text) { Err(lost("a time in a zone", "13:45:00")) } else { Ok(()) };
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    if unsigned.eq_ignore_ascii_case("infinity") {
        return Ok(());
    }
    let time = text.split_once(['T', 't', ' ']).map(|(_, time)| time);
    if scalar == Scalar::Timestamp && time.is_some_and(is_elsewhere) {
        return Err(lost("a time in a zone", "2024-01-31T13:45:00"));
    }
    let mut words = time.into_iter().flat_map(str::split_whitespace).map(zone);
    if words.any(is_posix_zone) {
        return Err(Reason::Because {
            message: format!("{text:?} has a zone with an offset, which PostgreSQL counts west of UTC"),
            hint: "give the offset alone, 2024-01-31T10:00:00+02:00, or a name, 2024-01-31 10:00 Europe/Paris"
                .to_owned(),
        });
    }
    if scalar == Scalar::Date && time.is_some_and(|time| is_elsewhere(time) || !is_midnight(time)) {
        return Err(lost("a date with a time", "2024-01-31"));
    }
    match iso_date(text) {
        Some((year, month, day, rest)) => {
            // The year before 1 is 1 BC. So 5 BC is a leap year, like year −4.
            let before = text.get(text.len().saturating_sub(2)..);
            let bc = before.is_some_and(|era| era.eq_ignore_ascii_case("bc"));
            let year = if bc { 1 - year } else { year };
            let exists = (1..=12).contains(&month)
                && (1..=datetime::days_in_month(year, month)).contains(&day);
            if !exists {
                return Err(Reason::Unfit);
            }
            match rest.strip_prefix(['T', 't', ' ']) {
                Some(time) if time.starts_with(|first: char| first.is_ascii_digit()) => {
                    check_time(time)
                }
                _ => Ok(()),
            }
        }
        None if begins_with_year(text) => Ok(()),
        None if text.starts_with(|first: char| first.is_ascii_digit()) => Err(Reason::Because {
            message: format!("{text:?} is not an ISO 8601 date"),
            hint: "give year, month and day: 2024-01-31, or 2024-01-31T13:45:00Z".to_owned(),
        }),
        None => Err(Reason::Unfit),
    }
}

/// The error for `what`, part of which the column would not keep. `form` is an example of what it keeps.
fn lost(what: &str, form: &str) -> Reason {
    Reason::Because {
        message: format!("{what}, where the column has none"),
        hint: format!("give what the column counts alone: {form}"),
    }
}

/// Whether a time zone is a name followed by an offset, which PostgreSQL counts west of UTC: `UTC+2` is two hours behind it.
pub(crate) fn is_posix_zone(zone: &str) -> bool {
    zone.split_once(['+', '-']).is_some_and(|(name, offset)| {
        let digits = offset.starts_with(|first: char| first.is_ascii_digit());
        let counts = offset.contains(|c| !matches!(c, '0' | ':'));
        !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphabetic()) && digits && counts
    })
}

/// Whether a time is midnight, so that a `date` loses nothing. An era is no time.
fn is_midnight(time: &str) -> bool {
    let clock = time.trim_start().bytes();
    clock
        .take_while(|c| c.is_ascii_digit() || matches!(c, b':' | b'.'))
        .all(|c| matches!(c, b'0' | b':' | b'.'))
}

/// What follows the time of day in a word.
fn zone(time: &str) -> &str {
    time.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ':' | '.'))
}

/// Whether a time is followed by a zone other than UTC, which PostgreSQL would ignore.
fn is_elsewhere(time: &str) -> bool {
    zone(time).split_whitespace().any(|word| {
        let known = ["Z", "UTC", "GMT", "AM", "PM", "BC", "AD"];
        let offset = word.strip_prefix(['+', '-']);
        let none = offset.is_some_and(|offset| offset.bytes().all(|c| matches!(c, b'0' | b':')));
        !none && !known.iter().any(|known| known.eq_ignore_ascii_case(word))
    })
}

/// Whether the text is a date in another unambiguous form: `2024/1/31`, `20240131`.
fn begins_with_year(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match text.get(digits..).and_then(|rest| rest.chars().next()) {
        None | Some('T' | 't' | ' ') => digits == 8,
        // A year and a month are not a date.
        Some(mark @ ('-' | '/')) => digits >= 4 && text.matches(mark).count() > 1,
        Some('.') => digits >= 4,
        Some(_) => false,
    }
}

fn check_time(text: &str) -> Result<(), Reason> {
    let limits = [24, 59, 60];
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b':').count();
    let clock = text.get(..digits).unwrap_or_default();
    let fits = !clock.is_empty()
        && clock.split(':').zip(limits).all(|(part, most)| {
            // A time may be written without colons, too: `134500`.
            part.len() != 2 || part.parse::<u8>().is_ok_and(|number| number <= most)
        });
    if fits { Ok(()) } else { Err(Reason::Unfit) }
}

/// Year, month, day and the rest, if the text begins with an ISO 8601 date.
fn iso_date(text: &str) -> Option<(i64, i64, i64, &str)> {
    let (year, rest) = text.split_once('-')?;
    let (month, rest) = rest.split_once('-')?;
    let (day, rest) = rest.split_at_checked(2)?;
    let number = |digits: &str, shortest: usize, longest: usize| {
        let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
        let fits = (shortest..=longest).contains(&digits.len());
        if plain && fits { digits.parse().ok() } else { None }
    };
    // PostgreSQL's years have at most six digits.
    Some((number(year, 4, 9)?, number(month, 2, 2)?, number(day, 2, 2)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plausible_moments_pass() {
        for text in [
            "2024-02-29",
            "2024-01-31T13:45:00Z",
            "2024-01-31 13:45:00.123456+05:30",
            "2024-01-31T24:00:00",
            "2024-01-31 13:45 Europe/Paris",
            "0044-03-15 BC",
            "0005-02-29 BC",
            "0044-03-15T00:00:00Z BC",
            "294276-12-31T23:59:60Z",
            "20240131",
            "20240131T134500",
            "2024/1/31 13:45",
            "infinity",
            "-Infinity",
        ] {
            assert!(check(Scalar::TimestampTz, text).is_ok(), "{text}");
        }
        for text in ["13:45", "13:45:00.5", "24:00:00", "134500", "04:05 PM"] {
            assert!(check(Scalar::Time, text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_zone_is_refused_where_it_would_be_lost() {
        for (text, fits) in [
            ("2024-01-31T13:45:00Z", true),
            ("2024-01-31 13:45:00.5+00:00", true),
            ("2024-01-31 13:45:00 -00", true),
            ("2024-01-31 01:45 PM UTC", true),
            ("0044-03-15T00:00:00Z BC", true),
            ("0044-03-15 BC", true),
            ("2024-01-31T13:45:00+05:30", false),
            ("2024-01-31T13:45:00-08", false),
            ("2024/1/31 13:45 Europe/Paris", false),
            ("2024-01-31T13:45:00+01 BC", false),
        ] {
            let told = check(Scalar::Timestamp, text);
            assert_eq!(!matches!(told, Err(Reason::Because { .. })), fits, "{text}");
            assert!(check(Scalar::TimestampTz, text).is_ok(), "{text}");
        }
        for (scalar, text, fits) in [
            (Scalar::Time, "13:45:00Z", true),
            (Scalar::Time, "13:45:00+00", true),
            (Scalar::Time, "01:45 PM", true),
            (Scalar::Time, "13:45:00+05:30", false),
            (Scalar::Time, "13:45 Europe/Paris", false),
            (Scalar::Time, "2024-01-31T13:45:00", false),
            (Scalar::Date, "2024-01-31", true),
            (Scalar::Date, "0044-03-15 BC", true),
            (Scalar::Date, "2024-01-31T00:00:00.000Z", true),
            (Scalar::Date, "2024-01-31T23:45:00", false),
            (Scalar::Date, "2024-01-31T23:45:00-08:00", false),
            (Scalar::Date, "2024-01-31 00:00:00+05:30", false),
        ] {
            let told = check(scalar, text);
            assert_eq!(!matches!(told, Err(Reason::Because { .. })), fits, "{text}");
        }
    }

    #[test]
    fn an_offset_from_a_name_is_refused() {
        for (zone, refused) in [
            ("UTC+2", true),
            ("GMT-05:30", true),
            ("CET-1CEST", true),
            ("UTC+0", false),
            ("GMT", false),
            ("+02:00", false),
            ("Etc/GMT+2", false),
            ("America/Port-au-Prince", false),
            ("EST5EDT", false),
        ] {
            assert_eq!(is_posix_zone(zone), refused, "{zone}");
            for text in [format!("2024-01-31 10:00 {zone}"), format!("2024-01-31T10:00{zone}")] {
                let told = check(Scalar::TimestampTz, &text);
                assert_eq!(matches!(told, Err(Reason::Because { .. })), refused, "{text}");
            }
        }
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            "soon",
            "2024-13-01",
            "2023-02-29",
            "2024-00-10",
            "2024-01-32T00:00:00Z",
            "2024-01-31T25:00:00Z",
            "2024-01-31 12:60:00",
            "é",
        ] {
            assert!(matches!(check(Scalar::Timestamp, text), Err(Reason::Unfit)), "{text}");
        }
        for text in ["now", "NOW()", " today", "tomorrow 10:00", "epoch", "2024-01-31 allballs"] {
            let present = matches!(check(Scalar::Timestamp, text), Err(Reason::Present(_)));
            assert!(present, "{text}");
        }
        for text in ["1/5/1997", "05-01-1997", "970105", "5 Jan 1997", "13:45 2024-01-31"] {
            let Err(Reason::Because { hint, .. }) = check(Scalar::Date, text) else {
                panic!("{text}")
            };
            assert!(hint.contains("2024-01-31"), "{text}");
        }
        for text in ["25:00", "12:61", "infinity", ""] {
            assert!(check(Scalar::Time, text).is_err(), "{text}");
        }
    }
}

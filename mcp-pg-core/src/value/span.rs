//! Intervals in unambiguous words: `-7 days`, `1 month`, `-1 year -6 months`.

use std::fmt;

use crate::error::{Code, Error, Result};

/// An interval, as a list of whole numbers of units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span(Vec<(i64, &'static Unit)>);

/// A unit of time, and the field of `interval` that counts it.
#[derive(Debug, PartialEq, Eq)]
struct Unit {
    name: &'static str,
    short: &'static [&'static str],
    part: Part,
    /// How many of that field's unit it is.
    times: i64,
}

/// The fields of PostgreSQL's `interval`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Months,
    Days,
    Seconds,
}

const UNITS: [Unit; 8] = [
    Unit { name: "second", short: &["sec", "s"], part: Part::Seconds, times: 1 },
    Unit { name: "minute", short: &["min"], part: Part::Seconds, times: 60 },
    Unit { name: "hour", short: &["hr", "h"], part: Part::Seconds, times: 3_600 },
    Unit { name: "day", short: &["d"], part: Part::Days, times: 1 },
    Unit { name: "week", short: &["w"], part: Part::Days, times: 7 },
    Unit { name: "month", short: &["mon"], part: Part::Months, times: 1 },
    Unit { name: "quarter", short: &[], part: Part::Months, times: 3 },
    Unit { name: "year", short: &["yr", "y"], part: Part::Months, times: 12 },
];

/// Four thousand years, which every type of time can represent from the present in both directions.
const SECONDS_MOST: i64 = 4_000 * 366 * 86_400;

impl Span {
    /// Parses a text.
    ///
    /// # Errors
    ///
    /// `invalid_value` for any other text, or for more than 4,000 years.
    ///
    /// ```
    /// use mcp_pg_core::value::Span;
    ///
    /// assert_eq!(Span::parse("-2 weeks").unwrap().interval(), "0 months -14 days 0 seconds");
    /// assert!(Span::parse("-1 year 6 months").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        let Some(span) = Self::of(text) else {
            let shown = super::encode::quoted(text);
            return Err(Error::new(Code::InvalidValue, format!("{shown} is not a span of time"))
                .hint("whole numbers, each with its sign and unit: \"-7 days\", \"1 month\", \"-1 year -6 months\"")
                .allowed(UNITS.iter().map(|unit| format!("{}s", unit.name))));
        };
        match span.0.iter().map(seconds).sum::<i64>() > SECONDS_MOST {
            true => Err(Error::new(
                Code::InvalidValue,
                "a span of time is 4,000 years at most".to_owned(),
            )),
            false => Ok(span),
        }
    }

    fn of(text: &str) -> Option<Self> {
        let mut terms: Vec<(i64, &'static Unit)> = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let sign = rest.chars().next().filter(|first| matches!(first, '+' | '-'));
            // In "-1 year 6 months", it is not clear whether the months are added.
            if sign.is_none() && terms.iter().any(|(number, _)| *number < 0) {
                return None;
            }
            let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
            let (number, after) = unsigned.split_at_checked(digits).filter(|_| digits <= 9)?;
            let number: i64 = number.parse().ok()?;
            let after = after.trim_start();
            let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (word, after) = after.split_at_checked(letters)?;
            terms.push((if sign == Some('-') { -number } else { number }, unit(word)?));
            if terms.len() > UNITS.len() {
                return None;
            }
            rest = after.trim_start();
        }
        (!terms.is_empty()).then_some(Self(terms))
    }

    /// The operand of `$now` for an expression of another language: `now() - interval '7 days'`, `today`, `-7 days`,
    /// `3 months ago`.
    pub(super) fn from_now(text: &str) -> Option<String> {
        const PRESENT: [&str; 9] = [
            "current_timestamp",
            "localtimestamp",
            "current_date",
            "sysdate",
            "getdate",
            "curdate",
            "today",
            "now",
            "utcnow",
        ];
        let text = text.to_ascii_lowercase().replace("interval", " ");
        let text: String =
            text.chars().map(|c| if "()'\"$".contains(c) { ' ' } else { c }).collect();
        let text = text.trim();
        let span = |text: &str| Self::of(text).map(|span| format!("\"{span}\""));
        if let Some(span) = text.strip_suffix("ago").and_then(Self::of) {
            return Some(format!("\"{}\"", span.negated()));
        }
        match text {
            "tomorrow" => return span("1 day"),
            "yesterday" => return span("-1 day"),
            _ => {}
        }
        let Some(rest) = PRESENT.iter().find_map(|word| text.strip_prefix(word)) else {
            return text.starts_with(['+', '-']).then(|| span(text)).flatten();
        };
        let rest = rest.trim();
        let (negative, amount) = match rest.strip_prefix('-') {
            _ if rest.is_empty() => return Some("true".to_owned()),
            Some(amount) => (true, amount.trim()),
            None => (false, rest.strip_prefix('+')?.trim()),
        };
        // A number without a unit counts days, as in SQL's date arithmetic.
        let span = Self::of(amount).or_else(|| Self::of(&format!("{amount} days")))?;
        Some(format!("\"{}\"", if negative { span.negated() } else { span }))
    }

    /// The interval with the opposite sign.
    pub(crate) fn negated(self) -> Self {
        Self(self.0.into_iter().map(|(number, unit)| (-number, unit)).collect())
    }

    /// Whether adding it leaves the time of day unchanged.
    pub(crate) fn is_of_days(&self) -> bool {
        self.0.iter().all(|(_, unit)| unit.part != Part::Seconds)
    }

    /// Whether it consists of hours, minutes and seconds only.
    pub(crate) fn is_of_hours(&self) -> bool {
        self.0.iter().all(|(_, unit)| unit.part == Part::Seconds)
    }

    /// The first and the last day to which it can be added, unit by unit, without leaving the range of PostgreSQL's
    /// timestamps (approximately).
    pub fn within(&self) -> [String; 2] {
        let years = |sign: i64| {
            let terms = self.0.iter().filter(|(number, _)| number.signum() == sign);
            match terms.map(seconds).sum::<i64>() {
                0 => 0,
                seconds => seconds / (365 * 86_400) + 1,
            }
        };
        // The range is 4714 BC to 294276 AD.
        [format!("{:04}-01-01 BC", 4713 - years(-1)), format!("{}-12-31", 294_276 - years(1))]
    }

    /// The text form of the `interval`.
    pub fn interval(&self) -> String {
        let part = |part: Part| -> i64 {
            let terms = self.0.iter().filter(|(_, unit)| unit.part == part);
            terms.map(|(number, unit)| number * unit.times).sum()
        };
        let (months, days, seconds) = (part(Part::Months), part(Part::Days), part(Part::Seconds));
        format!("{months} months {days} days {seconds} seconds")
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (number, unit)) in self.0.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let many = if number.abs() == 1 { "" } else { "s" };
            write!(f, "{space}{number} {}{many}", unit.name)?;
        }
        Ok(())
    }
}

/// The most seconds that a term can have.
fn seconds((number, unit): &(i64, &Unit)) -> i64 {
    let part = match unit.part {
        Part::Months => 366 * 86_400 / 12,
        Part::Days => 86_400,
        Part::Seconds => 1,
    };
    number.abs() * unit.times * part
}

fn unit(word: &str) -> Option<&'static Unit> {
    let word = word.to_ascii_lowercase();
    let one = word.strip_suffix('s').filter(|one| !one.is_empty()).unwrap_or(&word);
    UNITS.iter().find(|unit| unit.name == one || unit.short.contains(&one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_whole_numbers_of_units() {
        for (text, interval) in [
            ("-7 days", "0 months -7 days 0 seconds"),
            ("7days", "0 months 7 days 0 seconds"),
            (" +1 Month ", "1 months 0 days 0 seconds"),
            ("1 year 2 months -3 days +4 h +5 min +6s", "14 months -3 days 14706 seconds"),
            ("-1 quarter -2 weeks", "-3 months -14 days 0 seconds"),
            ("1 day 1 day", "0 months 2 days 0 seconds"),
            ("-4000 years", "-48000 months 0 days 0 seconds"),
        ] {
            let told = Span::parse(text).map(|span| span.interval());
            assert_eq!(told.ok().as_deref(), Some(interval), "{text}");
        }
        for text in [
            "",
            "7",
            "days",
            "- 7 days",
            "-7",
            "1.5 days",
            "7 days ago",
            "-1 year 6 months",
            "1 fortnight",
            "1 m",
            "P7D",
            "1 day,",
            "9999999999 days",
            "999999999 days",
            "4100 years",
            "-90000000 days 90000000 days",
            "'7 days'",
            "é",
        ] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_of_other_languages_are_told() {
        for (text, now) in [
            ("now", Some("true")),
            ("NOW()", Some("true")),
            ("today", Some("true")),
            ("tomorrow", Some("\"1 day\"")),
            ("yesterday", Some("\"-1 day\"")),
            ("now() - interval '7 days'", Some("\"-7 days\"")),
            ("current_timestamp - INTERVAL '1 year 6 months'", Some("\"-1 year -6 months\"")),
            ("now-7d", Some("\"-7 days\"")),
            ("CURRENT_DATE + 3", Some("\"3 days\"")),
            ("-7 days", Some("\"-7 days\"")),
            ("+2 hours", Some("\"2 hours\"")),
            ("3 months ago", Some("\"-3 months\"")),
            ("{$now}", None),
            ("-infinity", None),
            ("soon", None),
            ("7 days", None),
            ("nowhere", None),
            ("", None),
        ] {
            assert_eq!(Span::from_now(text).as_deref(), now, "{text}");
        }
    }
}

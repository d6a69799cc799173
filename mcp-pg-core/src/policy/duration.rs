//! Durations, as they are written in configurations and in PostgreSQL's settings.

use std::time::Duration;

/// `500ms`, `10s`, `2m` or `1h`; `None` for anything else, for nothing, and for more than PostgreSQL's timeouts can be:
/// milliseconds in 32 bits.
///
/// ```
/// use mcp_pg_core::policy::duration;
///
/// assert_eq!(duration("2m"), Some(std::time::Duration::from_secs(120)));
/// assert_eq!((duration("0s"), duration("2"), duration("800h")), (None, None, None));
/// ```
pub fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let milliseconds = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let total = number.parse::<u64>().ok()?.checked_mul(milliseconds)?;
    (1..=i32::MAX as u64).contains(&total).then(|| Duration::from_millis(total))
}

/// A timeout as PostgreSQL's settings take it: in whole milliseconds, rounded up, since 0 is no limit, and of 32 bits.
pub(crate) fn milliseconds(timeout: Duration) -> String {
    timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zero_is_no_limit() {
        let timeouts = [Duration::ZERO, Duration::from_micros(10), Duration::from_millis(1_500)];
        assert_eq!(timeouts.map(milliseconds), ["0", "1", "1500"]);
        assert_eq!(milliseconds(Duration::MAX), i32::MAX.to_string());
    }
}

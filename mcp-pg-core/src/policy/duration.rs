//! Durations, as they are written in configurations.

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

//! Counters of calls, in Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the histogram, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

/// What has happened since the process started.
///
/// Labels are names of tools and codes of errors alone, so their number is bounded, and nothing of a caller
/// is in them.
#[derive(Debug, Default)]
pub struct Metrics {
    calls: Mutex<BTreeMap<(String, &'static str), u64>>,
    durations: Mutex<BTreeMap<String, Histogram>>,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

impl Metrics {
    /// Counts a call that ended with `code` (`ok` if well).
    pub(crate) fn record(&self, tool: &str, code: &'static str, duration: Duration) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry((tool.to_owned(), code)).or_default() += 1;
        drop(calls);
        let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        let histogram = durations.entry(tool.to_owned()).or_default();
        let seconds = duration.as_secs_f64();
        histogram.count += 1;
        histogram.seconds += seconds;
        for (bucket, bound) in histogram.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    /// The page that a Prometheus server reads.
    pub fn render(&self) -> String {
        let mut page = String::from(
            "# HELP mcp_pg_calls_total Tool calls by tool and outcome (ok or the error's code).\n\
             # TYPE mcp_pg_calls_total counter\n",
        );
        for ((tool, code), count) in &*self.calls.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(page, "mcp_pg_calls_total{{tool=\"{tool}\",code=\"{code}\"}} {count}");
        }
        page.push_str(
            "# HELP mcp_pg_call_duration_seconds Time from a call's arrival to its answer.\n\
             # TYPE mcp_pg_call_duration_seconds histogram\n",
        );
        for (tool, histogram) in &*self.durations.lock().unwrap_or_else(PoisonError::into_inner) {
            let name = "mcp_pg_call_duration_seconds";
            let buckets = BUCKETS.iter().map(ToString::to_string).zip(histogram.buckets);
            for (bound, count) in buckets.chain([("+Inf".to_owned(), histogram.count)]) {
                let _ = writeln!(page, "{name}_bucket{{tool=\"{tool}\",le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(page, "{name}_sum{{tool=\"{tool}\"}} {}", histogram.seconds);
            let _ = writeln!(page, "{name}_count{{tool=\"{tool}\"}} {}", histogram.count);
        }
        page
    }
}

/// The same of audit records that were given up.
pub(crate) fn lost_records(lost: u64) -> String {
    format!(
        "# HELP mcp_pg_audit_records_lost_total Audit records that no sink could keep.\n\
         # TYPE mcp_pg_audit_records_lost_total counter\n\
         mcp_pg_audit_records_lost_total {lost}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_its_bucket_and_all_above() {
        let metrics = Metrics::default();
        metrics.record("select", "ok", Duration::from_millis(3));
        metrics.record("select", "timeout", Duration::from_secs(11));
        let page = metrics.render();
        for line in [
            "mcp_pg_calls_total{tool=\"select\",code=\"ok\"} 1",
            "mcp_pg_call_duration_seconds_bucket{tool=\"select\",le=\"0.0025\"} 0",
            "mcp_pg_call_duration_seconds_bucket{tool=\"select\",le=\"0.005\"} 1",
            "mcp_pg_call_duration_seconds_bucket{tool=\"select\",le=\"+Inf\"} 2",
            "mcp_pg_call_duration_seconds_count{tool=\"select\"} 2",
        ] {
            assert!(page.lines().any(|known| known == line), "{line} is not in\n{page}");
        }
    }
}

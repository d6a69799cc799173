//! Counters of calls and the state of the server, in Prometheus' text format.

mod health;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mcp_pg_core::{Code, Health};

/// Upper bounds of the histogram, in seconds.
const BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0];

/// Counters since the start of the process.
///
/// Labels are only names of tools and error codes: their number is limited, and they reveal nothing about callers.
#[derive(Debug, Default)]
pub struct Metrics {
    tools: Mutex<BTreeMap<String, Calls>>,
    /// Whether the last configuration that was read is faulty, so that the previous one is in use.
    refused_configuration: AtomicBool,
}

/// The calls of one tool.
#[derive(Debug, Default)]
struct Calls {
    codes: BTreeMap<&'static str, u64>,
    durations: Histogram,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// A running call, which is counted when it ends.
pub(crate) struct Running<'m> {
    metrics: &'m Metrics,
    pub(crate) tool: &'m str,
    /// `ok`, or the code of the error.
    pub(crate) code: &'static str,
    began: Instant,
}

/// The code of a call whose client did not wait for the answer.
const CANCELLED: &str = "cancelled";

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let fault = std::thread::panicking();
        let code = if fault { Code::Internal.as_str() } else { self.code };
        self.metrics.record(self.tool, code, self.began.elapsed());
    }
}

impl Metrics {
    /// A call that begins. Unless it is given a code, its client gave it up.
    pub(crate) fn begin<'m>(&'m self, tool: &'m str) -> Running<'m> {
        Running { metrics: self, tool, code: CANCELLED, began: Instant::now() }
    }

    /// Counts a call that ended with `code`, which is `ok` for success.
    pub(crate) fn record(&self, tool: &str, code: &'static str, duration: Duration) {
        let mut tools = self.tools();
        if !tools.contains_key(tool) {
            tools.insert(tool.to_owned(), Calls::default());
        }
        let Some(calls) = tools.get_mut(tool) else { return };
        *calls.codes.entry(code).or_default() += 1;
        let histogram = &mut calls.durations;
        let seconds = duration.as_secs_f64();
        histogram.count += 1;
        histogram.seconds += seconds;
        for (bucket, bound) in histogram.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    fn tools(&self) -> MutexGuard<'_, BTreeMap<String, Calls>> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes whether a configuration that was read could be used.
    pub(crate) fn configured(&self, taken: bool) {
        self.refused_configuration.store(!taken, Ordering::Relaxed);
    }

    /// The page for Prometheus, with the state of the engine.
    pub fn render(&self, health: &Health) -> String {
        let mut page = String::from(
            "# HELP mcp_pg_calls_total Tool calls by tool and outcome (ok, the error's code or cancelled).\n\
             # TYPE mcp_pg_calls_total counter\n",
        );
        let tools = self.tools();
        for (tool, calls) in &*tools {
            for (code, count) in &calls.codes {
                let _ =
                    writeln!(page, "mcp_pg_calls_total{{tool=\"{tool}\",code=\"{code}\"}} {count}");
            }
        }
        page.push_str(
            "# HELP mcp_pg_call_duration_seconds Time from a call's arrival to its answer.\n\
             # TYPE mcp_pg_call_duration_seconds histogram\n",
        );
        for (tool, Calls { durations: histogram, .. }) in &*tools {
            let name = "mcp_pg_call_duration_seconds";
            let buckets = BUCKETS.iter().map(ToString::to_string).zip(histogram.buckets);
            for (bound, count) in buckets.chain([("+Inf".to_owned(), histogram.count)]) {
                let _ = writeln!(page, "{name}_bucket{{tool=\"{tool}\",le=\"{bound}\"}} {count}");
            }
            let _ = writeln!(page, "{name}_sum{{tool=\"{tool}\"}} {}", histogram.seconds);
            let _ = writeln!(page, "{name}_count{{tool=\"{tool}\"}} {}", histogram.count);
        }
        let configured = !self.refused_configuration.load(Ordering::Relaxed);
        health::render(&mut page, configured, health);
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_in_its_histogram_bucket_and_all_larger_ones() {
        let metrics = Metrics::default();
        metrics.record("select", "ok", Duration::from_millis(3));
        metrics.record("select", "timeout", Duration::from_secs(11));
        let mut health = Health::default();
        let connections = &mut health.connections;
        (connections.up, connections.used, connections.idle) = (true, 1, 2);
        (connections.waiting, connections.most) = (3, 4);
        (health.schema_read, health.query_faults, health.outdated_queries) = (true, 6, 5);
        (health.audit_failing, health.lost_records) = (true, 7);
        metrics.configured(false);
        let page = metrics.render(&health);
        for line in [
            "mcp_pg_calls_total{tool=\"select\",code=\"ok\"} 1",
            "mcp_pg_call_duration_seconds_bucket{tool=\"select\",le=\"0.0025\"} 0",
            "mcp_pg_call_duration_seconds_bucket{tool=\"select\",le=\"0.005\"} 1",
            "mcp_pg_call_duration_seconds_bucket{tool=\"select\",le=\"+Inf\"} 2",
            "mcp_pg_call_duration_seconds_count{tool=\"select\"} 2",
            "mcp_pg_database_up 1",
            "mcp_pg_database_connections_used 1",
            "mcp_pg_database_connections_idle 2",
            "mcp_pg_database_connections_waiting 3",
            "mcp_pg_database_connections_max 4",
            "mcp_pg_configuration_last_reload_successful 0",
            "mcp_pg_schema_last_read_successful 1",
            "mcp_pg_query_faults 6",
            "mcp_pg_query_faults_outdated 5",
            "mcp_pg_audit_failing 1",
            "mcp_pg_audit_records_lost_total 7",
        ] {
            assert!(page.lines().any(|known| known == line), "{line} is not in\n{page}");
        }
    }
}

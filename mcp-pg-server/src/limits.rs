//! How often one caller may call.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mcp_pg_core::{Code, Error};

const MINUTE: Duration = Duration::from_secs(60);

/// Callers that are remembered before those without recent calls are forgotten.
const CALLERS_MOST: usize = 10_000;

/// A bound on each caller's calls in a minute, spread evenly: a whole minute's calls may come at once, and
/// each one's share of the minute later gives one back (GCRA).
#[derive(Debug)]
pub(crate) struct RequestRate {
    /// A call's share of the minute.
    share: Duration,
    /// When each caller's calls so far would have ended, had they come one share apart.
    spent_until: Mutex<HashMap<String, Instant>>,
}

impl RequestRate {
    pub(crate) fn per_minute(calls: NonZeroU32) -> Self {
        Self { share: MINUTE / calls.get(), spent_until: Mutex::default() }
    }

    /// Counts a call, or refuses it with `rate_limited` and the time to wait.
    pub(crate) fn admit(&self, caller: &str) -> Result<(), Error> {
        self.admit_at(caller, Instant::now())
    }

    fn admit_at(&self, caller: &str, now: Instant) -> Result<(), Error> {
        let mut callers = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= CALLERS_MOST {
            callers.retain(|_, spent_until| *spent_until > now);
        }
        let begins = callers.get(caller).copied().filter(|until| *until > now).unwrap_or(now);
        let until = begins + self.share;
        let over = until.saturating_duration_since(now).saturating_sub(MINUTE);
        if !over.is_zero() {
            let seconds = over.as_secs_f64().ceil();
            return Err(Error::new(Code::RateLimited, "too many calls in a minute")
                .hint(format!("call again in {seconds} s")));
        }
        callers.insert(caller.to_owned(), until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_holds_so_many_calls_of_each_caller() {
        let rate = RequestRate::per_minute(NonZeroU32::new(3).unwrap());
        let start = Instant::now();
        for _ in 0..3 {
            rate.admit_at("ann", start).unwrap();
        }
        let error = rate.admit_at("ann", start).unwrap_err();
        assert_eq!(error.code(), Code::RateLimited);
        assert_eq!(error.advice(), Some("call again in 20 s"));
        assert!(error.is_retryable());
        rate.admit_at("bob", start).unwrap();
        rate.admit_at("ann", start + Duration::from_secs(20)).unwrap();
        rate.admit_at("ann", start + Duration::from_secs(20)).unwrap_err();
    }
}

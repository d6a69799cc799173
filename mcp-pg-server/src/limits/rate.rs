//! Rates per minute: calls, and requests of any kind.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::CALLERS_MOST;

/// HTTP requests per allowed call: a client initializes, opens a stream, lists tools, calls and closes.
const REQUESTS_PER_CALL: NonZeroU32 = NonZeroU32::new(6).unwrap();
/// Requests per minute that a caller may always send, however few calls it is allowed.
const REQUESTS_LEAST: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// The calls and requests of each caller, in a minute.
#[derive(Debug)]
pub(super) struct Rate {
    calls: DefaultKeyedRateLimiter<String>,
    requests: DefaultKeyedRateLimiter<String>,
}

impl Rate {
    /// So many calls, and some more requests.
    pub(super) fn new(calls: NonZeroU32) -> Self {
        let requests = calls.saturating_mul(REQUESTS_PER_CALL).max(REQUESTS_LEAST);
        let limiter = |most| RateLimiter::keyed(Quota::per_minute(most));
        Self { calls: limiter(calls), requests: limiter(requests) }
    }

    /// Counts a call; how long its caller has to wait, if it is one too many.
    pub(super) fn call(&self, caller: &String) -> Option<Duration> {
        count(&self.calls, caller)
    }

    /// Counts a request, whatever it is; how long its caller has to wait, if it is one too many.
    pub(super) fn request(&self, caller: &String) -> Option<Duration> {
        count(&self.requests, caller)
    }
}

fn count(limiter: &DefaultKeyedRateLimiter<String>, caller: &String) -> Option<Duration> {
    if limiter.len() >= CALLERS_MOST {
        limiter.retain_recent();
    }
    let early = limiter.check_key(caller).err()?;
    Some(early.wait_time_from(DefaultClock::default().now()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_a_bound_beyond_that_of_calls() {
        let ann = "api_key ann".to_owned();
        for (calls, requests) in [(1, 100), (50, 300)] {
            let rate = Rate::new(NonZeroU32::new(calls).unwrap());
            let admitted = (0..1_000).filter(|_| rate.request(&ann).is_none()).count();
            assert!((requests..=requests + 10).contains(&admitted), "{admitted} of {requests}");
            assert_eq!(rate.call(&ann), None);
        }
    }
}

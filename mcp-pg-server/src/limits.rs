//! How much one caller may ask for: calls in a minute, and calls at one time; and how often an address may fail
//! to become a caller.
//!
//! Counted in this process, by the caller's subject and not by connection; what is refused later counts too.

mod failures;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use mcp_pg_core::{Code, Error, Principal};

use failures::Failures;

/// Callers that are remembered before those without recent calls are forgotten.
const CALLERS_MOST: usize = 10_000;

/// Bounds on the calls of one caller; none where absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallerLimits {
    /// Calls in a minute: all may come at once, and each one's share of the minute later gives one back.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Calls at one time.
    pub concurrency: Option<NonZeroU32>,
}

/// Bounds on the calls of each caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLimits {
    /// Those of every caller.
    pub every: CallerLimits,
    /// Other ones for the callers of a role, each where it is present.
    pub roles: BTreeMap<String, CallerLimits>,
    /// How often in a minute the credentials that come from one address may be refused; then, for a while, none
    /// that come from there are looked at.
    pub failed_authentications_per_minute: Option<NonZeroU32>,
}

/// Admits calls within bounds, which can be replaced while the server runs.
#[derive(Debug, Default)]
pub struct Limiter(ArcSwap<Limited>);

#[derive(Debug, Default)]
struct Limited {
    limits: RequestLimits,
    every: Bounds,
    roles: HashMap<String, Bounds>,
    failures: Option<Failures>,
}

#[derive(Debug, Default)]
struct Bounds {
    rate: Option<DefaultKeyedRateLimiter<String>>,
    concurrency: Option<(NonZeroU32, Running)>,
}

/// How many calls of each caller go on; of those with none, nothing is kept.
type Running = Arc<Mutex<HashMap<String, u32>>>;

/// A call that was admitted, until it ends.
#[derive(Debug)]
#[must_use = "the call counts as under way until this is dropped"]
pub struct Permit {
    running: Option<(Running, String)>,
}

impl Limiter {
    /// Admits what is within these bounds.
    pub fn new(limits: RequestLimits) -> Self {
        Self(ArcSwap::from_pointee(Limited::new(limits)))
    }

    /// Admits what is within these bounds from now on. If they are others, counting begins anew.
    pub fn replace(&self, limits: RequestLimits) {
        if self.0.load().limits != limits {
            self.0.store(Arc::new(Limited::new(limits)));
        }
    }

    /// Counts a call.
    ///
    /// # Errors
    ///
    /// `rate_limited`, with what to wait for.
    pub fn admit(&self, caller: &Principal) -> Result<Permit, Error> {
        let limited = self.0.load();
        limited.roles.get(&caller.role).unwrap_or(&limited.every).admit(caller)
    }

    /// How long an address is not listened to, if it has failed too often.
    pub(crate) fn wait(&self, address: IpAddr) -> Option<Duration> {
        self.0.load().failures.as_ref()?.wait(address)
    }

    /// Counts credentials that were refused; how long their address has to wait, if they were too many.
    pub(crate) fn failed(&self, address: IpAddr) -> Option<Duration> {
        self.0.load().failures.as_ref()?.count(address)
    }
}

impl Limited {
    fn new(limits: RequestLimits) -> Self {
        let every = limits.every;
        let of_role = |(role, own): (&String, &CallerLimits)| {
            let limits = CallerLimits {
                requests_per_minute: own.requests_per_minute.or(every.requests_per_minute),
                concurrency: own.concurrency.or(every.concurrency),
            };
            (role.clone(), Bounds::new(limits))
        };
        let roles = limits.roles.iter().map(of_role).collect();
        let failures = limits.failed_authentications_per_minute.map(Failures::new);
        Self { every: Bounds::new(every), roles, failures, limits }
    }
}

impl Bounds {
    fn new(limits: CallerLimits) -> Self {
        Self {
            rate: limits
                .requests_per_minute
                .map(|calls| RateLimiter::keyed(Quota::per_minute(calls))),
            concurrency: limits.concurrency.map(|most| (most, Running::default())),
        }
    }

    fn admit(&self, caller: &Principal) -> Result<Permit, Error> {
        if self.rate.is_none() && self.concurrency.is_none() {
            return Ok(Permit { running: None });
        }
        let caller = caller.key();
        if let Some(rate) = &self.rate {
            if rate.len() >= CALLERS_MOST {
                rate.retain_recent();
            }
            rate.check_key(&caller).map_err(|early| {
                let wait = early.wait_time_from(DefaultClock::default().now());
                Error::new(Code::RateLimited, "too many calls in a minute")
                    .hint(format!("call again in {} s", seconds(wait)))
            })?;
        }
        let Some((most, running)) = &self.concurrency else { return Ok(Permit { running: None }) };
        let mut calls = running.lock().unwrap_or_else(PoisonError::into_inner);
        let going_on = calls.entry(caller.clone()).or_default();
        if *going_on >= most.get() {
            return Err(Error::new(
                Code::RateLimited,
                format!("{most} calls of this caller are under way, and more may not be"),
            )
            .hint("call again in 1 s, or when one of them has ended"));
        }
        *going_on += 1;
        drop(calls);
        Ok(Permit { running: Some((Arc::clone(running), caller)) })
    }
}

/// Whole seconds after which the wait is over.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some((running, caller)) = self.running.take() else { return };
        let mut calls = running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(going_on) = calls.get_mut(&caller) {
            *going_on = going_on.saturating_sub(1);
            if *going_on == 0 {
                calls.remove(&caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u32, concurrency: u32) -> CallerLimits {
        CallerLimits {
            requests_per_minute: NonZeroU32::new(requests),
            concurrency: NonZeroU32::new(concurrency),
        }
    }

    fn caller(subject: &str, role: &str) -> Principal {
        Principal::new(subject, role)
    }

    #[test]
    fn a_minute_holds_so_many_calls_of_each_caller() {
        let limiter = Limiter::new(RequestLimits {
            every: limits(3, 0),
            roles: [("batch".to_owned(), limits(5, 0))].into(),
            ..RequestLimits::default()
        });
        let admitted =
            |caller: Principal| (0..10).filter(|_| limiter.admit(&caller).is_ok()).count();
        assert_eq!(admitted(caller("ann", "analyst")), 3);
        assert_eq!(admitted(caller("bob", "analyst")), 3);
        assert_eq!(admitted(caller("ann", "batch")), 5);
        let by_key = Principal { method: "api_key".into(), ..caller("ann", "analyst") };
        assert_eq!(admitted(by_key), 3);
        let error = limiter.admit(&caller("ann", "analyst")).unwrap_err();
        assert_eq!(error.code(), Code::RateLimited);
        assert!(error.is_retryable());
        let seconds = error.get_hint().and_then(|hint| {
            hint.strip_prefix("call again in ")?.strip_suffix(" s")?.parse::<u32>().ok()
        });
        assert!(seconds.is_some_and(|seconds| (1..=20).contains(&seconds)), "{error}");
    }

    #[test]
    fn a_call_that_ends_makes_room_for_another() {
        let limiter = Limiter::new(RequestLimits { every: limits(0, 2), ..Default::default() });
        let ann = caller("ann", "analyst");
        let first = limiter.admit(&ann).unwrap();
        let _second = limiter.admit(&ann).unwrap();
        let error = limiter.admit(&ann).unwrap_err();
        assert_eq!(error.code(), Code::RateLimited);
        assert!(limiter.admit(&caller("bob", "analyst")).is_ok());
        drop(first);
        assert!(limiter.admit(&ann).is_ok());
    }

    #[test]
    fn the_same_bounds_go_on_counting_and_others_begin_anew() {
        let bounds = |calls| RequestLimits { every: limits(calls, 0), ..Default::default() };
        let limiter = Limiter::new(bounds(1));
        let ann = caller("ann", "analyst");
        drop(limiter.admit(&ann).unwrap());
        limiter.replace(bounds(1));
        limiter.admit(&ann).unwrap_err();
        limiter.replace(bounds(2));
        drop(limiter.admit(&ann).unwrap());
        drop(limiter.admit(&ann).unwrap());
        limiter.admit(&ann).unwrap_err();
    }
}

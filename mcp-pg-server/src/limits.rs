//! Limits per caller: calls per minute, and concurrent calls. Limits per address: failed authentications.
//!
//! Counted in this process, by caller and not by connection. Calls that are refused later count, too.

mod failures;
mod rate;

use std::collections::{BTreeMap, HashMap};
use std::iter;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use mcp_pg_core::{Code, Error, Principal};

use crate::slots::{Slot, Slots};
use failures::Failures;
use rate::Rate;

/// The number of callers above which those without recent calls are forgotten.
const CALLERS_MOST: usize = 10_000;

/// Limits on the calls of one caller; none if absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallerLimits {
    /// Calls per minute. They may all come at once; after each n-th part of a minute, there is one more.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Concurrent calls.
    pub concurrency: Option<NonZeroU32>,
}

/// Limits on the calls of each caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestLimits {
    /// The limits of every caller.
    pub every: CallerLimits,
    /// Limits for the callers of a role, which override the general ones where present.
    pub roles: BTreeMap<String, CallerLimits>,
    /// How many authentications per minute may fail from one address. Beyond that, its requests are refused for a while without
    /// looking at their credentials. No effect on requests without `ConnectInfo<SocketAddr>` in their extensions: see
    /// [`service`](crate::service).
    pub failed_authentications_per_minute: Option<NonZeroU32>,
}

/// Admits calls within the limits, which can be replaced while the server runs.
#[derive(Debug, Default)]
pub struct Limiter {
    limited: ArcSwap<Limited>,
    running: Slots,
    /// Told that failures cannot be counted.
    told: OnceLock<()>,
}

#[derive(Debug, Default)]
struct Limited {
    limits: RequestLimits,
    /// By the number of calls that a caller may make per minute.
    rates: HashMap<NonZeroU32, Arc<Rate>>,
    failures: Option<Arc<Failures>>,
}

/// An admitted call, until it ends.
#[derive(Debug)]
#[must_use = "the call counts as under way until this is dropped"]
pub struct Permit {
    _running: Option<Slot>,
}

impl Limiter {
    /// Admits calls within these limits.
    pub fn new(limits: RequestLimits) -> Self {
        let limited = Limited::default().renewed(limits);
        Self { limited: ArcSwap::from_pointee(limited), ..Self::default() }
    }

    /// Replaces the limits. Callers whose limits stay the same keep their counts; for others, counting begins anew.
    pub fn replace(&self, limits: RequestLimits) {
        let renewed = self.limited.load().renewed(limits);
        self.limited.store(Arc::new(renewed));
    }

    /// Counts a call.
    ///
    /// # Errors
    ///
    /// `rate_limited`, with a hint when to call again.
    pub fn admit(&self, caller: &Principal) -> Result<Permit, Error> {
        let limited = self.limited.load();
        let CallerLimits { requests_per_minute, concurrency } = limited.limits.of(&caller.role);
        if requests_per_minute.is_none() && concurrency.is_none() {
            return Ok(Permit { _running: None });
        }
        let caller = caller.key();
        let rate = requests_per_minute.and_then(|calls| limited.rates.get(&calls));
        if let Some(wait) = rate.and_then(|rate| rate.call(&caller)) {
            return Err(too_many("calls", wait));
        }
        match concurrency {
            Some(most) => self.begin(caller, most),
            None => Ok(Permit { _running: None }),
        }
    }

    /// Counts an HTTP request before its body is read, whether or not it is a call. This limits requests that are refused later,
    /// and lists, which are not calls.
    ///
    /// # Errors
    ///
    /// `rate_limited`, and how long to wait.
    pub(crate) fn hear(&self, caller: &Principal) -> Result<(), (Error, Duration)> {
        let limited = self.limited.load();
        let calls = limited.limits.of(&caller.role).requests_per_minute;
        let rate = calls.and_then(|calls| limited.rates.get(&calls));
        match rate.and_then(|rate| rate.request(&caller.key())) {
            Some(wait) => Err((too_many("requests", wait), wait)),
            None => Ok(()),
        }
    }

    /// How long an address has to wait, if it has failed too often.
    pub(crate) fn wait(&self, address: IpAddr) -> Option<Duration> {
        self.limited.load().failures.as_ref()?.wait(address)
    }

    /// Counts a failed authentication; how long the address has to wait, if it has failed too often.
    pub(crate) fn failed(&self, address: Option<IpAddr>) -> Option<Duration> {
        let limited = self.limited.load();
        let failures = limited.failures.as_ref()?;
        if address.is_none() {
            // Counted together, they would let anyone shut out all others.
            self.told.get_or_init(|| {
                tracing::warn!("failed authentications are not limited: requests come without ConnectInfo<SocketAddr>");
            });
        }
        failures.count(address?)
    }

    fn begin(&self, caller: String, most: NonZeroU32) -> Result<Permit, Error> {
        let running = self.running.take(caller, usize::try_from(most.get()).unwrap_or(usize::MAX));
        let running = running.ok_or_else(|| {
            Error::new(
                Code::RateLimited,
                format!("this caller has {most} calls running, and may not have more"),
            )
            .hint("call again in 1 s, or when one of them has ended")
        })?;
        Ok(Permit { _running: Some(running) })
    }
}

impl RequestLimits {
    /// The limits of the callers of a role.
    fn of(&self, role: &str) -> CallerLimits {
        let Some(own) = self.roles.get(role) else { return self.every };
        CallerLimits {
            requests_per_minute: own.requests_per_minute.or(self.every.requests_per_minute),
            concurrency: own.concurrency.or(self.every.concurrency),
        }
    }
}

impl Limited {
    /// With these limits, and the counts of those that stay the same.
    fn renewed(&self, limits: RequestLimits) -> Self {
        let every = iter::once(&limits.every).chain(limits.roles.values());
        let rates = every.filter_map(|limits| limits.requests_per_minute).map(|calls| {
            let known = self.rates.get(&calls).map(Arc::clone);
            (calls, known.unwrap_or_else(|| Arc::new(Rate::new(calls))))
        });
        let rates = rates.collect();
        let most = limits.failed_authentications_per_minute;
        let same = self.limits.failed_authentications_per_minute == most;
        let failures = match &self.failures {
            Some(known) if same => Some(Arc::clone(known)),
            _ => most.map(|most| Arc::new(Failures::new(most))),
        };
        Self { limits, rates, failures }
    }
}

fn too_many(what: &str, wait: Duration) -> Error {
    Error::new(Code::RateLimited, format!("too many {what} in a minute"))
        .hint(format!("call again in {} s", seconds(wait)))
}

/// The wait in whole seconds, rounded up.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
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
        let bounds = |calls, of_batch| RequestLimits {
            every: limits(calls, 1),
            roles: [("batch".to_owned(), limits(of_batch, 0))].into(),
            ..Default::default()
        };
        let limiter = Limiter::new(bounds(1, 2));
        let (ann, bob) = (caller("ann", "analyst"), caller("bob", "batch"));
        drop(limiter.admit(&ann).unwrap());
        let running = limiter.admit(&bob).unwrap();
        limiter.replace(bounds(1, 3));
        limiter.admit(&ann).unwrap_err();
        // Running calls still count, whatever the new limits are.
        limiter.admit(&bob).unwrap_err();
        drop(running);
        drop(limiter.admit(&bob).unwrap());
        limiter.replace(bounds(2, 3));
        drop(limiter.admit(&ann).unwrap());
        drop(limiter.admit(&ann).unwrap());
        limiter.admit(&ann).unwrap_err();
        drop(limiter.admit(&bob).unwrap());
        limiter.admit(&bob).unwrap_err();
    }

    #[test]
    fn an_address_that_failed_is_remembered_when_other_bounds_change() {
        let bounds = |failures, calls| RequestLimits {
            every: limits(calls, 0),
            failed_authentications_per_minute: NonZeroU32::new(failures),
            ..Default::default()
        };
        let limiter = Limiter::new(bounds(1, 1));
        let address = IpAddr::from([192, 0, 2, 7]);
        assert_eq!(limiter.failed(None), None);
        assert_eq!(limiter.failed(Some(address)), None);
        assert!(limiter.failed(Some(address)).is_some());
        limiter.replace(bounds(1, 2));
        assert!(limiter.wait(address).is_some());
        limiter.replace(bounds(2, 2));
        assert_eq!(limiter.wait(address), None);
    }
}

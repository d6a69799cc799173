//! Rates of refused credentials per address.
//!
//! Knows addresses; not credentials.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::CALLERS_MOST;

/// The failures of each address.
#[derive(Debug)]
pub(super) struct Failures {
    rate: DefaultKeyedRateLimiter<IpAddr>,
    /// Addresses that have failed too often, and until when they have to wait.
    waiting: Mutex<HashMap<IpAddr, Instant>>,
}

impl Failures {
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        Self { rate: RateLimiter::keyed(Quota::per_minute(per_minute)), waiting: Mutex::default() }
    }

    /// How long the address has to wait, if it has to.
    pub(super) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let until = waiting.get(&party(address))?;
        Some(until.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
    }

    /// Counts a failure; how long the address has to wait, if this was one too many.
    pub(super) fn count(&self, address: IpAddr) -> Option<Duration> {
        if self.rate.len() >= CALLERS_MOST {
            self.rate.retain_recent();
        }
        let address = party(address);
        let early = self.rate.check_key(&address).err()?;
        let wait = early.wait_time_from(DefaultClock::default().now());
        let now = Instant::now();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, until| *until > now);
        waiting.insert(address, now + wait);
        Some(wait)
    }
}

/// The party behind an address: in IPv6, usually a whole /64 network.
fn party(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_fails_too_often_has_to_wait() {
        let failures = Failures::new(NonZeroU32::new(3).unwrap());
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let guesser = address("192.0.2.7");
        for _ in 0..3 {
            assert_eq!(failures.wait(guesser), None);
            assert_eq!(failures.count(guesser), None);
        }
        let wait = failures.count(guesser).unwrap();
        assert!(wait <= Duration::from_secs(20) && !wait.is_zero(), "{wait:?}");
        assert!(failures.wait(guesser).is_some());
        assert!(failures.wait(address("::ffff:192.0.2.7")).is_some());
        assert_eq!(failures.wait(address("192.0.2.8")), None);
    }

    #[test]
    fn the_addresses_of_one_network_are_one_party() {
        let party = |text: &str| party(text.parse().unwrap()).to_string();
        assert_eq!(party("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(party("2001:db8:1:3::1"), "2001:db8:1:3::");
        assert_eq!(party("192.0.2.7"), "192.0.2.7");
    }
}

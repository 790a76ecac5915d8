//! Rate limits by key, as true rates: `n` per minute is one more every `60 / n` seconds, with up to `n` saved up; `n` per hour likewise.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};

use crate::error::{ApiError, ErrorCode};

/// The address that limits count by: an IPv6 customer has a whole /64, so that is one.
pub fn limit_key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            Ipv6Addr::from(network).into()
        }
        v4 => v4,
    }
}

/// What a key has left, for the `RateLimit` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Which limit it is, by its name in the headers.
    pub policy: &'static str,
    /// How many per window.
    pub quota: u32,
    /// The window: 60 or 3600 seconds.
    pub window_secs: u64,
    /// How many at once from here.
    pub remaining: u32,
    /// When one more is added, at the earliest; whole seconds.
    pub wait_secs: u64,
}

/// The name of a limit that nobody has named: it counts the operation that was asked for.
const OPERATION: &str = "operation";

/// One limit for many keys: addresses, users, or pairs of them.
pub struct RateLimit<K: Hash + Eq + Clone> {
    policy: &'static str,
    quota: NonZeroU32,
    window: Window,
    limiter: RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>,
    checks: AtomicU32,
}

/// What a rate is counted by.
#[derive(Debug, Clone, Copy)]
enum Window {
    Minute,
    Hour,
}

impl Window {
    fn secs(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Minute => "a minute",
            Self::Hour => "an hour",
        }
    }
}

/// A wait as headers tell it: never too short, and at least one second.
pub fn whole_secs(wait: Duration) -> u64 {
    let secs = wait.as_millis().div_ceil(1_000).max(1);
    u64::try_from(secs).unwrap_or(u64::MAX)
}

/// Keys that have recovered are forgotten once in so many checks.
const CHECKS_BETWEEN_SWEEPS: u32 = 16_384;

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// So many a minute for each key; 0 counts as 1.
    pub fn per_minute(quota: u32) -> Self {
        Self::new(quota, Window::Minute)
    }

    /// So many an hour for each key; 0 counts as 1.
    pub fn per_hour(quota: u32) -> Self {
        Self::new(quota, Window::Hour)
    }

    fn new(quota: u32, window: Window) -> Self {
        let quota = NonZeroU32::new(quota).unwrap_or(NonZeroU32::MIN);
        let rate = match window {
            Window::Minute => Quota::per_minute(quota),
            Window::Hour => Quota::per_hour(quota),
        };
        Self {
            policy: OPERATION,
            quota,
            window,
            limiter: RateLimiter::dashmap(rate).with_middleware(),
            checks: AtomicU32::new(0),
        }
    }

    /// Names the limit in the `RateLimit` headers; without it, it is the operation's.
    #[must_use]
    pub fn named(mut self, policy: &'static str) -> Self {
        self.policy = policy;
        self
    }

    /// Takes one for `key`, or answers 429 with `Retry-After` and this limit in its headers.
    ///
    /// # Errors
    /// 429 `rate_limited`.
    pub fn check(&self, key: &K) -> Result<Allowance, ApiError> {
        self.take(key).map_err(|wait| {
            ApiError::new(
                ErrorCode::RATE_LIMITED,
                format!("at most {} of these {}", self.quota, self.window.name()),
            )
            .retry_after(wait)
            .with_allowance(self.allowance(0, whole_secs(wait)))
        })
    }

    /// Takes one for `key`, or answers the time until there is one again.
    fn take(&self, key: &K) -> Result<Allowance, Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_BETWEEN_SWEEPS
            == CHECKS_BETWEEN_SWEEPS - 1
        {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        match self.limiter.check_key(key) {
            Ok(state) => {
                let next = self.window.secs().div_ceil(u64::from(self.quota.get()));
                Ok(self.allowance(state.remaining_burst_capacity(), next))
            }
            Err(until) => Err(until.wait_time_from(DefaultClock::default().now())),
        }
    }

    fn allowance(&self, remaining: u32, wait_secs: u64) -> Allowance {
        Allowance {
            policy: self.policy,
            quota: self.quota.get(),
            window_secs: self.window.secs(),
            remaining,
            wait_secs,
        }
    }

    /// How many per window.
    pub fn rate(&self) -> u32 {
        self.quota.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_by_whom_they_belong_to() {
        let counted = |text: &str| limit_key(text.parse().expect("an address")).to_string();
        assert_eq!(counted("192.0.2.7"), "192.0.2.7");
        assert_eq!(counted("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(counted("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn a_rate_is_a_rate_and_not_a_period() {
        let limit = RateLimit::per_minute(6_000);
        let burst = (0..6_100).filter(|_| limit.take(&"a").is_ok()).count();
        assert!((6_000..6_100).contains(&burst), "{burst} at once");
        assert!(limit.take(&"b").is_ok(), "another key is not touched");
        let wait = (0..100)
            .find_map(|_| limit.take(&"a").err())
            .expect("used up");
        assert!(
            wait <= Duration::from_millis(10),
            "one more every 10 ms, not after a minute"
        );
    }

    #[test]
    fn what_is_counted_by_the_hour_comes_back_by_the_hour() {
        let limit = RateLimit::per_hour(2);
        assert!(limit.check(&"a").is_ok() && limit.check(&"a").is_ok());
        let refused = limit.check(&"a").expect_err("used up");
        assert_eq!(refused.message(), "at most 2 of these an hour");
        let wait = refused.wait().expect("says when to come back");
        assert!(wait > Duration::from_secs(1_700), "{wait:?}");
        let told = refused.allowance().expect("says which limit it is");
        assert_eq!(
            (told.policy, told.quota, told.window_secs, told.remaining),
            ("operation", 2, 3_600, 0)
        );
        assert_eq!(told.wait_secs, whole_secs(wait));
    }
}

//! Rate limits by key, as true rates: `n` per minute is one more every `60 / n` seconds, with up to `n` saved up.

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
    /// How many per minute.
    pub per_minute: u32,
    /// How many at once from here.
    pub remaining: u32,
    /// When one more is added, at the earliest; whole seconds.
    pub wait_secs: u64,
}

/// One limit for many keys: addresses, users, or pairs of them.
pub struct RateLimit<K: Hash + Eq + Clone> {
    per_minute: NonZeroU32,
    limiter: RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>,
    checks: AtomicU32,
}

/// Keys that have recovered are forgotten once in so many checks.
const CHECKS_BETWEEN_SWEEPS: u32 = 16_384;

impl<K: Hash + Eq + Clone> RateLimit<K> {
    /// `per_minute` for each key; 0 counts as 1.
    pub fn per_minute(per_minute: u32) -> Self {
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        Self {
            per_minute,
            limiter: RateLimiter::dashmap(Quota::per_minute(per_minute)).with_middleware(),
            checks: AtomicU32::new(0),
        }
    }

    /// Takes one for `key`.
    ///
    /// # Errors
    /// The time until there is one again.
    pub fn take(&self, key: &K) -> Result<Allowance, Duration> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % CHECKS_BETWEEN_SWEEPS
            == CHECKS_BETWEEN_SWEEPS - 1
        {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        match self.limiter.check_key(key) {
            Ok(state) => Ok(Allowance {
                per_minute: self.per_minute.get(),
                remaining: state.remaining_burst_capacity(),
                wait_secs: 60_u64.div_ceil(u64::from(self.per_minute.get())),
            }),
            Err(until) => Err(until.wait_time_from(DefaultClock::default().now())),
        }
    }

    /// Takes one for `key`, or answers 429 with `Retry-After`.
    ///
    /// # Errors
    /// 429 `rate_limited`.
    pub fn check(&self, key: &K) -> Result<Allowance, ApiError> {
        self.take(key).map_err(|wait| {
            ApiError::new(
                ErrorCode::RATE_LIMITED,
                format!("at most {} of these a minute", self.per_minute),
            )
            .retry_after(wait)
        })
    }

    /// The rate.
    pub fn rate(&self) -> u32 {
        self.per_minute.get()
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
}

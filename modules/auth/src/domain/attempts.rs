//! Who may go on guessing passwords: failures are counted for each name and for each client address.
//!
//! An account is locked in silence, see [`super::lockout`]. An address that failed too often, with whatever names, is told so: it learns
//! nothing about any account by it. A success does not forgive an address its failures, or whoever has an account of their own could
//! guess without end.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::lockout::{Judgement, Lockout, Rule};

/// What an attempt to log in comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// In.
    Admitted,
    /// Not in: a wrong password, or a locked account.
    Refused {
        /// The account is locked from now on.
        locks_account: bool,
        /// The address has to wait from now on.
        locks_address: bool,
    },
    /// Not in, whatever the password: the address failed too often. Good again after this time.
    TooMany(Duration),
}

/// The names and addresses that failed of late. One lock for both, so that attempts side by side are judged one after the other.
#[derive(Default)]
pub(crate) struct Failures(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    accounts: Lockout<String>,
    addresses: Lockout<IpAddr>,
}

/// Judges attempts to log in.
pub(crate) struct Attempts {
    /// Outlive whoever judges by them, or a reload would forgive everybody.
    pub(crate) failures: Arc<Failures>,
    /// Locks an account.
    pub(crate) account: Rule,
    /// Locks an address.
    pub(crate) address: Rule,
}

impl Attempts {
    /// How long an address still has to wait, if it has to.
    pub(crate) fn wait(&self, address: IpAddr, now_ms: i64) -> Option<Duration> {
        self.counts().addresses.locked_for(&address, now_ms)
    }

    /// Judges an attempt from `address` (as limits count it) for the account known by `account`, `right` telling whether its password
    /// is. What cannot be a name is no account's.
    pub(crate) fn judge(
        &self,
        account: Option<&String>,
        address: IpAddr,
        right: bool,
        now_ms: i64,
    ) -> Verdict {
        let mut counts = self.counts();
        if let Some(wait) = counts.addresses.locked_for(&address, now_ms) {
            return Verdict::TooMany(wait);
        }
        let judgement = account.map_or(Judgement::Refused, |account| {
            counts.accounts.judge(self.account, account, right, now_ms)
        });
        if judgement == Judgement::Admitted {
            return Verdict::Admitted;
        }
        let of_address = counts
            .addresses
            .judge(self.address, &address, false, now_ms);
        Verdict::Refused {
            locks_account: judgement == Judgement::RefusedAndLocked,
            locks_address: of_address == Judgement::RefusedAndLocked,
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        let counts = self.failures.0.lock();
        counts.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn attempts(address_failures: u32) -> Attempts {
        let rule = |failures| Rule {
            failures,
            lock_secs: 30,
        };
        Attempts {
            failures: Arc::default(),
            account: rule(5),
            address: rule(address_failures),
        }
    }

    fn refused(locks_address: bool) -> Verdict {
        Verdict::Refused {
            locks_account: false,
            locks_address,
        }
    }

    #[test]
    fn an_address_that_failed_with_many_names_waits_and_no_other() {
        let attempts = attempts(30);
        for guess in 0..30 {
            let name = format!("name{guess}");
            let verdict = attempts.judge(Some(&name), HOME, false, 0);
            assert_eq!(verdict, refused(guess == 29));
        }
        let ada = "ada".to_string();
        let wait = Duration::from_secs(30);
        assert_eq!(attempts.wait(HOME, 0), Some(wait));
        assert_eq!(
            attempts.judge(Some(&ada), HOME, true, 0),
            Verdict::TooMany(wait)
        );
        assert_eq!(attempts.wait(AWAY, 0), None);
        assert_eq!(attempts.judge(Some(&ada), AWAY, true, 0), Verdict::Admitted);
        assert_eq!(
            attempts.judge(Some(&ada), HOME, true, 30_000),
            Verdict::Admitted
        );
    }

    #[test]
    fn a_success_in_between_does_not_forgive_an_address() {
        let attempts = attempts(30);
        let (own, theirs) = ("eve".to_string(), "ada".to_string());
        for _ in 0..10 {
            for _ in 0..3 {
                attempts.judge(Some(&theirs), HOME, false, 0);
            }
            attempts.judge(Some(&own), HOME, true, 0);
        }
        assert!(attempts.wait(HOME, 0).is_some());
    }

    #[test]
    fn what_cannot_be_a_name_counts_for_the_address() {
        let attempts = attempts(3);
        for guess in 0..3 {
            let verdict = attempts.judge(None, HOME, false, 0);
            assert_eq!(verdict, refused(guess == 2));
        }
        assert!(attempts.wait(HOME, 0).is_some());
    }
}

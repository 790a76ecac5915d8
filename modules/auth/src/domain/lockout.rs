//! Guessing is slow: some wrong passwords in a row lock an account, or whatever else is counted by, for a while.
//!
//! An attempt is judged after its password was hashed, one at a time for each name, and while an account is locked a right
//! password is refused in the same words as a wrong one. So attempts that run side by side gain nothing, and nobody can tell a
//! locked account from a wrong password, or either from a name that does not exist: names are counted whether they exist or not.

use std::{collections::HashMap, hash::Hash, time::Duration};

/// Keys that are remembered at most. To have one forgotten for want of room takes half as many failures with other keys, each at the
/// price of a hash: minutes of the server's whole capacity for hashing, for a few guesses.
const CAPACITY: usize = 16_384;

/// Failures are forgotten after so long without another.
const FORGET_AFTER_MS: i64 = 15 * 60 * 1_000;

/// What an attempt to log in comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// In.
    Admitted,
    /// Not in: a wrong password, or a locked account.
    Refused,
    /// Not in, and the account is locked from now on.
    RefusedAndLocked,
}

#[derive(Clone, Copy, Default)]
struct Record {
    failures: u32,
    last_ms: i64,
    locked_until_ms: i64,
}

impl Record {
    fn forgotten(&self, now_ms: i64) -> bool {
        now_ms >= self.locked_until_ms
            && (self.failures == 0 || now_ms - self.last_ms >= FORGET_AFTER_MS)
    }
}

/// What it takes to be locked, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    /// So many failures in a row lock.
    pub(crate) failures: u32,
    /// For so many seconds.
    pub(crate) lock_secs: u32,
}

/// The keys (accounts, addresses) that failed of late. The rule comes with each attempt, as it may change while the failures are
/// remembered.
pub(crate) struct Lockout<K> {
    records: HashMap<K, Record>,
}

impl<K> Default for Lockout<K> {
    fn default() -> Self {
        Self {
            records: HashMap::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> Lockout<K> {
    /// How long `key` is still locked, if it is.
    pub(crate) fn locked_for(&self, key: &K, now_ms: i64) -> Option<Duration> {
        let left_ms = self.records.get(key)?.locked_until_ms - now_ms;
        u64::try_from(left_ms)
            .ok()
            .filter(|left_ms| *left_ms > 0)
            .map(Duration::from_millis)
    }

    /// Judges an attempt counted by `key`, `right` telling whether its password is.
    pub(crate) fn judge(&mut self, rule: Rule, key: &K, right: bool, now_ms: i64) -> Judgement {
        let mut record = self.records.get(key).copied().unwrap_or_default();
        if now_ms < record.locked_until_ms {
            return Judgement::Refused;
        }
        if right {
            self.records.remove(key);
            return Judgement::Admitted;
        }
        if record.forgotten(now_ms) {
            record = Record::default();
        }
        record.failures += 1;
        record.last_ms = now_ms;
        let locks = record.failures >= rule.failures;
        if locks {
            record.failures = 0;
            record.locked_until_ms = now_ms + i64::from(rule.lock_secs) * 1_000;
        }
        if self.records.len() >= CAPACITY && !self.records.contains_key(key) {
            make_room(&mut self.records, now_ms);
        }
        self.records.insert(key.clone(), record);
        if locks {
            Judgement::RefusedAndLocked
        } else {
            Judgement::Refused
        }
    }
}

/// Drops what is forgotten, and if that is not enough the older half.
fn make_room<K: Eq + Hash>(records: &mut HashMap<K, Record>, now_ms: i64) {
    records.retain(|_, record| !record.forgotten(now_ms));
    if records.len() > CAPACITY / 2 {
        let mut times: Vec<i64> = records.values().map(|record| record.last_ms).collect();
        let (_, middle, _) = times.select_nth_unstable(CAPACITY / 2 - 1);
        let middle = *middle;
        records.retain(|_, record| record.last_ms > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Judgement::{Admitted, Refused, RefusedAndLocked};

    const RULE: Rule = Rule {
        failures: 5,
        lock_secs: 30,
    };

    #[test]
    fn five_failures_lock_for_thirty_seconds_even_for_the_right_password() {
        let mut lockout = Lockout::default();
        for _ in 0..4 {
            assert_eq!(lockout.judge(RULE, &"ann", false, 1_000), Refused);
        }
        assert_eq!(lockout.judge(RULE, &"ann", false, 1_000), RefusedAndLocked);
        assert_eq!(lockout.judge(RULE, &"ann", true, 1_000), Refused);
        let wait = lockout.locked_for(&"ann", 11_000);
        assert_eq!(wait, Some(Duration::from_secs(20)));
        assert_eq!(lockout.locked_for(&"ann", 31_000), None);
        assert_eq!(lockout.judge(RULE, &"ann", true, 30_999), Refused);
        assert_eq!(
            lockout.judge(RULE, &"bob", true, 1_000),
            Admitted,
            "nobody else is locked"
        );
        assert_eq!(lockout.judge(RULE, &"ann", true, 31_000), Admitted);
    }

    #[test]
    fn failures_while_locked_do_not_lengthen_the_lock() {
        let mut lockout = Lockout::default();
        for _ in 0..50 {
            lockout.judge(RULE, &"ann", false, 0);
        }
        assert_eq!(lockout.judge(RULE, &"ann", false, 29_999), Refused);
        assert_eq!(lockout.judge(RULE, &"ann", true, 30_000), Admitted);
    }

    #[test]
    fn a_success_resets_and_after_a_lock_the_count_starts_anew() {
        let mut lockout = Lockout::default();
        for _ in 0..3 {
            for _ in 0..4 {
                assert_eq!(lockout.judge(RULE, &"ann", false, 0), Refused);
            }
            assert_eq!(lockout.judge(RULE, &"ann", true, 0), Admitted);
        }
        for _ in 0..5 {
            lockout.judge(RULE, &"ann", false, 0);
        }
        for _ in 0..4 {
            assert_eq!(lockout.judge(RULE, &"ann", false, 30_000), Refused);
        }
        assert_eq!(lockout.judge(RULE, &"ann", false, 30_000), RefusedAndLocked);
    }

    #[test]
    fn a_rule_that_changes_holds_for_the_failures_that_are_remembered() {
        let mut lockout = Lockout::default();
        for _ in 0..3 {
            assert_eq!(lockout.judge(RULE, &"ann", false, 0), Refused);
        }
        let stricter = Rule {
            failures: 2,
            lock_secs: 60,
        };
        assert_eq!(lockout.judge(stricter, &"ann", false, 0), RefusedAndLocked);
        assert_eq!(lockout.judge(RULE, &"ann", true, 59_999), Refused);
        assert_eq!(lockout.judge(RULE, &"ann", true, 60_000), Admitted);
    }

    #[test]
    fn old_failures_are_forgotten() {
        let mut lockout = Lockout::default();
        for _ in 0..4 {
            lockout.judge(RULE, &"ann", false, 0);
        }
        assert_eq!(lockout.judge(RULE, &"ann", false, FORGET_AFTER_MS), Refused);
    }

    #[test]
    fn the_memory_is_bounded_and_the_newest_are_kept() {
        let mut lockout = Lockout::default();
        for name in 0..100_000_i64 {
            lockout.judge(RULE, &name, false, name);
        }
        let records = lockout.records.len();
        assert!(records <= CAPACITY, "{records}");
        for _ in 0..3 {
            assert_eq!(lockout.judge(RULE, &99_999, false, 100_000), Refused);
        }
        assert_eq!(
            lockout.judge(RULE, &99_999, false, 100_000),
            RefusedAndLocked
        );
        // All at one moment: the halving drops what it must even where times do not differ.
        let mut lockout = Lockout::default();
        for name in 0..100_000 {
            lockout.judge(RULE, &name, false, 0);
        }
        assert!(lockout.records.len() <= CAPACITY);
    }
}

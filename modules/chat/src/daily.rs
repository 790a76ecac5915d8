//! What is recorded once a day at most, however often it happens.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What was recorded is due again after so many seconds.
const DAY: i64 = 86_400;
/// Keys that are remembered at most; beyond, all are forgotten, and recorded once more than needed.
const REMEMBERED_MAX: usize = 50_000;

/// When what was recorded last. All times are in unix seconds.
pub(crate) struct Daily<K>(Mutex<HashMap<K, i64>>);

impl<K> Default for Daily<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Daily<K> {
    /// Whether `key` was not recorded in the day before `now`.
    pub(crate) fn is_due(&self, key: &K, now: i64) -> bool {
        let recorded_at = self.lock().get(key).copied();
        recorded_at.is_none_or(|at| at + DAY <= now)
    }

    /// `key` is recorded and committed.
    pub(crate) fn recorded(&self, key: K, now: i64) {
        let mut recorded = self.lock();
        if recorded.len() >= REMEMBERED_MAX {
            *recorded = HashMap::new();
        }
        recorded.insert(key, now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_is_due_again_a_day_later() {
        let daily = Daily::default();
        assert!(daily.is_due(&"a", 5));
        daily.recorded("a", 5);
        assert!(!daily.is_due(&"a", 5 + DAY - 1));
        assert!(daily.is_due(&"b", 5));
        assert!(daily.is_due(&"a", 5 + DAY));
    }
}

//! How often somebody may ask the same other one.

use std::time::Duration;

use super::refusal::Refusal;

/// How long a request counts, in seconds.
pub(crate) const DAY_SECS: i64 = 86_400;

/// How often a sender has asked one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) requests: i64,
    /// When the first of them was made, in unix seconds.
    pub(crate) since_at: i64,
}

impl Tally {
    /// Whether one more is allowed at `now`, in unix seconds, where `max` are allowed in a day.
    ///
    /// # Errors
    /// That it is not, and when it will be.
    pub(crate) fn allow_one_more(self, now: i64, max: u32) -> Result<(), Refusal> {
        let ends_at = self.since_at.saturating_add(DAY_SECS);
        if self.requests < i64::from(max) || now >= ends_at {
            return Ok(());
        }
        let wait = Duration::from_secs(ends_at.saturating_sub(now).unsigned_abs());
        Err(Refusal::AskedTooOften { max, wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_person_is_asked_so_often_a_day_and_no_more() {
        let tally = |requests| Tally {
            requests,
            since_at: 1_000,
        };
        assert_eq!(tally(2).allow_one_more(1_000, 3), Ok(()));
        let wait = Duration::from_secs(86_399);
        assert_eq!(
            tally(3).allow_one_more(1_001, 3),
            Err(Refusal::AskedTooOften { max: 3, wait })
        );
        assert_eq!(tally(3).allow_one_more(1_000 + DAY_SECS, 3), Ok(()));
    }
}

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Counts what happened in the time just passed: at most so many in any span of the window's length.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Instant>);

impl Window {
    /// Whether one more may happen now; if so it is counted.
    pub(super) fn admit(&mut self, now: Instant, limit: usize, window: Duration) -> bool {
        while self
            .0
            .front()
            .is_some_and(|first| now.duration_since(*first) >= window)
        {
            self.0.pop_front();
        }
        let admitted = self.0.len() < limit;
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }

    /// Gives the memory back when nothing happened lately.
    pub(super) fn tidy(&mut self, now: Instant, window: Duration) {
        if self
            .0
            .back()
            .is_none_or(|last| now.duration_since(*last) >= window)
        {
            self.0 = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_span_of_the_window_holds_more_than_the_limit() {
        let (start, window) = (Instant::now(), Duration::from_secs(10));
        let mut rate = Window::default();
        let mut admitted = Vec::new();
        for tenth in 0..1000 {
            let now = start + Duration::from_millis(tenth * 100);
            if rate.admit(now, 5, window) {
                admitted.push(now);
            }
        }
        assert!(admitted.windows(6).all(|six| six[5] - six[0] >= window));
        assert_eq!(admitted.len(), 50, "and all of the limit can be used");

        rate.tidy(start + Duration::from_secs(200), window);
        assert_eq!(rate.0.capacity(), 0);
    }
}

/// How long sessions last, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime {
    /// One that is not refreshed.
    pub(crate) unused_ms: i64,
    /// Any, however often it is refreshed.
    pub(crate) max_ms: i64,
}

impl Lifetime {
    pub(crate) fn of_secs(unused: u32, max: u32) -> Self {
        Self {
            unused_ms: i64::from(unused) * 1_000,
            max_ms: i64::from(max) * 1_000,
        }
    }

    /// When a session ends that is opened at `now_ms` and never refreshed, in milliseconds since the Unix epoch.
    pub(crate) fn first_expiry_ms(self, now_ms: i64) -> i64 {
        now_ms + self.unused_ms.min(self.max_ms)
    }
}

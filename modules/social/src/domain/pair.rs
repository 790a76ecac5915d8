use filament_kernel::id::UserId;

/// Two people, whichever of them acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The lesser id.
    pub(crate) low: UserId,
    /// The greater id.
    pub(crate) high: UserId,
}

impl Pair {
    pub(crate) fn of(one: UserId, other: UserId) -> Self {
        Self {
            low: one.min(other),
            high: one.max(other),
        }
    }
}

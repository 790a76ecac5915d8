//! Sets of roles of one guild, small enough that a guild in memory needs a few bytes for each member.

/// The roles of one guild, the standing ones included, are at most this many.
pub(crate) const ROLES_MAX: usize = 64;

/// A role's place in its guild's [`RoleSet`]s; below [`ROLES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoleSlot(u8);

impl RoleSlot {
    /// The slot at `index`, if there is one.
    pub(crate) fn at(index: usize) -> Option<Self> {
        let slot = u8::try_from(index).ok()?;
        (index < ROLES_MAX).then_some(Self(slot))
    }

    pub(crate) fn index(self) -> usize {
        self.0.into()
    }
}

/// Some of a guild's roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RoleSet(u64);

impl RoleSet {
    pub(crate) const fn has(self, slot: RoleSlot) -> bool {
        self.0 & (1 << slot.0) != 0
    }

    pub(crate) const fn with(self, slot: RoleSlot) -> Self {
        Self(self.0 | (1 << slot.0))
    }

    pub(crate) const fn without(self, slot: RoleSlot) -> Self {
        Self(self.0 & !(1 << slot.0))
    }

    /// The slots of the set, lowest first.
    pub(crate) fn iter(self) -> impl Iterator<Item = RoleSlot> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let slot = u8::try_from(left.trailing_zeros()).ok()?;
            if left == 0 {
                return None;
            }
            left &= left - 1;
            Some(RoleSlot(slot))
        })
    }
}

impl FromIterator<RoleSlot> for RoleSet {
    fn from_iter<I: IntoIterator<Item = RoleSlot>>(slots: I) -> Self {
        slots.into_iter().fold(Self::default(), Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_every_slot_and_gives_it_back() {
        let all: Vec<RoleSlot> = (0..ROLES_MAX).filter_map(RoleSlot::at).collect();
        assert_eq!(all.len(), ROLES_MAX);
        assert_eq!(RoleSlot::at(ROLES_MAX), None);
        let full: RoleSet = all.iter().copied().collect();
        assert_eq!(full.iter().collect::<Vec<_>>(), all);
        let holed = full.without(all[0]).without(all[63]);
        assert!(!holed.has(all[0]) && holed.has(all[1]) && !holed.has(all[63]));
        assert_eq!(holed.iter().count(), 62);
        assert_eq!(RoleSet::default().iter().count(), 0);
    }
}

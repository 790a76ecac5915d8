//! From where members act: what bans of addresses are made of. Recorded with the act, once a day for each address of each
//! member, so that the hot path pays for it hardly ever. No answer ever shows an address.

use std::net::IpAddr;

use filament_kernel::{
    id::{GuildId, UserId},
    limits::limit_key,
};

use crate::daily::Daily;

/// Somebody acted in a guild from an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    pub(crate) guild_id: GuildId,
    pub(crate) user_id: UserId,
    /// As addresses are counted: an IPv6 customer is one network.
    pub(crate) address: IpAddr,
}

/// What was seen, and whether it is to be recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sighting {
    pub(crate) address: IpAddr,
    seen: Seen,
    is_new: bool,
}

impl Sighting {
    /// What is to be recorded, unless it was a short while ago.
    pub(crate) fn unrecorded(self) -> Option<Seen> {
        self.is_new.then_some(self.seen)
    }
}

/// What was recorded lately.
#[derive(Default)]
pub(crate) struct Sightings(Daily<Seen>);

impl Sightings {
    /// `user_id` acts in the guild from `client_ip` at `now`, in unix seconds.
    pub(crate) fn of(
        &self,
        guild_id: GuildId,
        user_id: UserId,
        client_ip: IpAddr,
        now: i64,
    ) -> Sighting {
        let seen = Seen {
            guild_id,
            user_id,
            address: limit_key(client_ip),
        };
        Sighting {
            address: seen.address,
            seen,
            is_new: self.0.is_due(&seen, now),
        }
    }

    /// The sighting is recorded and committed.
    pub(crate) fn recorded(&self, sighting: &Sighting, now: i64) {
        if sighting.is_new {
            self.0.recorded(sighting.seen, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::Ids;

    use super::*;

    #[test]
    fn an_address_is_recorded_once_a_day() {
        let ids = Ids::default();
        let (guild, user) = (ids.next(), ids.next());
        let sightings = Sightings::default();
        let see = |address: &str, now| {
            let sighting = sightings.of(guild, user, address.parse().expect("an address"), now);
            sightings.recorded(&sighting, now);
            sighting.unrecorded().is_some()
        };
        assert!(see("2001:db8::1", 0));
        assert!(!see("2001:db8::2", 5), "one customer");
        assert!(see("192.0.2.1", 5));
    }
}

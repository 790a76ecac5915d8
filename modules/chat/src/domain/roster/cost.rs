//! What a decision costs: a figure, and no check.
//!
//! `cargo test --release --workspace --lib cost_of_a_decision -- --ignored --nocapture`

use std::{hint::black_box, time::Instant};

use filament_kernel::id::Ids;

use super::*;
use crate::domain::channel::ChannelKind;

const ROLES: usize = 20;
const CHANNELS: usize = 50;
const OVERRIDDEN_ROLES: usize = 5;
const OVERRIDDEN_MEMBERS: usize = 20;
const DECISIONS: u32 = 5_000_000;

/// A guild whose members hold three roles each, and whose channels all have overrides.
struct Town {
    roster: Roster,
    members: Vec<UserId>,
    channels: Vec<ChannelId>,
}

impl Town {
    fn of(members: usize) -> Self {
        let ids = Ids::default();
        let roles: Vec<RoleId> = (0..ROLES).map(|_| ids.next()).collect();
        let members: Vec<UserId> = (0..members).map(|_| ids.next()).collect();
        let channels: Vec<ChannelId> = (0..CHANNELS).map(|_| ids.next()).collect();
        let mut roster = Roster::new(Visibility::Public);
        for (position, role_id) in (0..).zip(&roles) {
            let kind = RoleKind::STANDING.get(position as usize).copied();
            let role = Powers {
                kind: kind.unwrap_or(RoleKind::Custom),
                position,
                permissions: PermissionSet::from_bits(0x100 | position),
            };
            roster.apply(Fact::Role {
                role_id: *role_id,
                role,
            });
        }
        for (number, user_id) in members.iter().enumerate() {
            // Nobody is an owner, for whom nothing would have to be looked up.
            let role_ids = (0..3).map(|step| roles[4 + (number + step * 5) % (ROLES - 4)]);
            roster.apply(Fact::Member {
                user_id: *user_id,
                role_ids: role_ids.collect(),
            });
        }
        for (position, channel_id) in (0..).zip(&channels) {
            let channel = Channel {
                channel_id: *channel_id,
                name: "general".to_string(),
                kind: ChannelKind::Text,
                topic: String::new(),
            };
            roster.apply(Fact::Channel { channel, position });
            let roles = roles.iter().rev().take(OVERRIDDEN_ROLES);
            let members = members.iter().take(OVERRIDDEN_MEMBERS);
            let targets = roles.map(|role| Target::Role(*role));
            for target in targets.chain(members.map(|user| Target::Member(*user))) {
                roster.apply(Fact::Override {
                    channel_id: *channel_id,
                    target,
                    says: Override {
                        allow: PermissionSet::NONE,
                        deny: [Permission::PublishVideo].into_iter().collect(),
                    },
                });
            }
        }
        Self {
            roster,
            members,
            channels,
        }
    }

    /// Nanoseconds of the decision whether somebody sees a channel, over people and channels in no order.
    fn decision_ns(&self) -> f64 {
        let (mut chance, mut seen) = (0x9e37_79b9_u32, 0_u32);
        let started = Instant::now();
        for _ in 0..DECISIONS {
            // xorshift32: next to nothing beside what is measured.
            chance ^= chance << 13;
            chance ^= chance >> 17;
            chance ^= chance << 5;
            let user = self.members[chance as usize % self.members.len()];
            let channel = self.channels[(chance >> 16) as usize % CHANNELS];
            let member = self.roster.member_in(channel, black_box(user));
            seen += u32::from(member.is_some_and(Member::sees_channel));
        }
        let took = started.elapsed();
        assert_eq!(seen, DECISIONS);
        took.as_secs_f64() * 1e9 / f64::from(DECISIONS)
    }
}

#[test]
#[ignore = "a figure, and no check"]
fn cost_of_a_decision() {
    for members in [10, 10_000, 100_000] {
        println!(
            "{members} members: {:.0} ns",
            Town::of(members).decision_ns()
        );
    }
}

//! Who and what a guild holds, as far as decisions need it.

use std::collections::{BTreeMap, HashMap};

use filament_kernel::id::{ChannelId, RoleId, UserId};

use super::{
    channel::Channel,
    guild::Visibility,
    member::{Member, Role},
    permission::PermissionSet,
    role::RoleKind,
};

/// A guild in memory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Roster {
    pub(crate) visibility: Visibility,
    /// In the order of their making.
    pub(crate) channels: BTreeMap<ChannelId, Channel>,
    roles: HashMap<RoleId, Role>,
    members: HashMap<UserId, Member>,
}

/// Something that was committed. Each says how things are now, not by how much they changed, so that it may be applied
/// to a roster that knows of it already.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    /// The user is a member with these roles.
    Member {
        user_id: UserId,
        role_ids: Vec<RoleId>,
    },
    /// The channel exists.
    Channel(Channel),
}

impl Roster {
    /// A roster without members; they are added as [`Fact`]s.
    pub(crate) fn new(
        visibility: Visibility,
        channels: impl IntoIterator<Item = Channel>,
        roles: impl IntoIterator<Item = (RoleId, Role)>,
    ) -> Self {
        Self {
            visibility,
            channels: channels
                .into_iter()
                .map(|channel| (channel.channel_id, channel))
                .collect(),
            roles: roles.into_iter().collect(),
            members: HashMap::new(),
        }
    }

    pub(crate) fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Member { user_id, role_ids } => {
                let held = role_ids.iter().filter_map(|id| self.roles.get(id).copied());
                let member = Member::compile(self.everyone(), held);
                self.members.insert(user_id, member);
            }
            Fact::Channel(channel) => {
                self.channels.insert(channel.channel_id, channel);
            }
        }
    }

    pub(crate) fn member(&self, user: UserId) -> Option<Member> {
        self.members.get(&user).copied()
    }

    fn everyone(&self) -> PermissionSet {
        self.roles
            .values()
            .find(|role| role.kind == RoleKind::Everyone)
            .map_or(PermissionSet::NONE, |role| role.permissions)
    }
}

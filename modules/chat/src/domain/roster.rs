//! Who and what a guild holds, as far as decisions need it: compiled so that a decision is a few look-ups.

use std::{collections::HashMap, net::IpAddr};

use filament_kernel::id::{ChannelId, RoleId, UserId};

use super::{
    channel::{CHANNELS_BYTES_MAX, Channel},
    channel_override::{Override, Overrides, Target},
    guild::Visibility,
    member::{Member, Powers},
    permission::{Permission, PermissionSet},
    role::{Role, RoleKind},
    role_set::{ROLES_MAX, RoleSet, RoleSlot},
};

/// A guild in memory. A member takes a few bytes: the set of the roles held. What that allows is put together when it is asked, so
/// that a changed role holds for all who have it at once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Roster {
    visibility: Visibility,
    default_join_role: Option<RoleId>,
    channels: HashMap<ChannelId, Place>,
    /// By [`RoleSlot`]; a role that was deleted leaves its slot free.
    roles: Vec<Option<(RoleId, Powers)>>,
    everyone: Option<RoleSlot>,
    members: HashMap<UserId, RoleSet>,
    ip_bans: HashMap<IpAddr, Option<i64>>,
    is_deleted: bool,
}

/// A channel where it stands.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    channel: Channel,
    position: i64,
    overrides: Overrides,
}

/// Something that was committed. Each says how things are now, not by how much they changed, so that it may be applied
/// to a roster that knows of it already.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Visibility(Visibility),
    /// Who joins is given this role.
    DefaultJoinRole(Option<RoleId>),
    /// The role exists and is like this.
    Role {
        role_id: RoleId,
        role: Powers,
    },
    RoleGone(RoleId),
    /// The user is a member with these roles.
    Member {
        user_id: UserId,
        role_ids: Vec<RoleId>,
    },
    MemberGone(UserId),
    /// The channel exists and stands at this position.
    Channel {
        channel: Channel,
        position: i64,
    },
    ChannelGone(ChannelId),
    /// The channel says this about the target; one that says nothing is none.
    Override {
        channel_id: ChannelId,
        target: Target,
        says: Override,
    },
    /// The address is banned, until a time in unix seconds or for good.
    IpBan {
        address: IpAddr,
        expires_at: Option<i64>,
    },
    IpBanGone(IpAddr),
    GuildGone,
}

impl Fact {
    /// Whether it leaves rows behind that are to be deleted little by little.
    pub(crate) const fn leaves_remains(&self) -> bool {
        matches!(self, Self::ChannelGone(_) | Self::GuildGone)
    }

    /// The role exists and is like this.
    pub(crate) fn of_role(kind: RoleKind, role: &Role) -> Self {
        Self::Role {
            role_id: role.role_id,
            role: role.powers(kind),
        }
    }
}

impl Roster {
    /// A guild without anything; the rest is added as [`Fact`]s, roles before those who hold them.
    pub(crate) fn new(visibility: Visibility) -> Self {
        Self {
            visibility,
            default_join_role: None,
            channels: HashMap::new(),
            roles: Vec::new(),
            everyone: None,
            members: HashMap::new(),
            ip_bans: HashMap::new(),
            is_deleted: false,
        }
    }

    pub(crate) fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Visibility(visibility) => self.visibility = visibility,
            Fact::DefaultJoinRole(role) => self.default_join_role = role,
            Fact::Role { role_id, role } => self.set_role(role_id, role),
            Fact::RoleGone(role_id) => self.remove_role(role_id),
            Fact::Member { user_id, role_ids } => {
                let held = role_ids.iter().filter_map(|id| self.slot(*id)).collect();
                self.members.insert(user_id, held);
            }
            Fact::MemberGone(user_id) => {
                self.members.remove(&user_id);
            }
            Fact::Channel { channel, position } => {
                let known = self.channels.remove(&channel.channel_id);
                let place = Place {
                    overrides: known.map(|place| place.overrides).unwrap_or_default(),
                    position,
                    channel,
                };
                self.channels.insert(place.channel.channel_id, place);
            }
            Fact::ChannelGone(channel_id) => {
                self.channels.remove(&channel_id);
            }
            Fact::Override {
                channel_id,
                target,
                says,
            } => self.set_override(channel_id, target, says),
            Fact::IpBan {
                address,
                expires_at,
            } => {
                self.ip_bans.insert(address, expires_at);
            }
            Fact::IpBanGone(address) => {
                self.ip_bans.remove(&address);
            }
            Fact::GuildGone => {
                *self = Self {
                    is_deleted: true,
                    ..Self::new(Visibility::Private)
                };
            }
        }
    }

    pub(crate) fn visibility(&self) -> Visibility {
        self.visibility
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    pub(crate) fn default_join_role(&self) -> Option<RoleId> {
        self.default_join_role
    }

    /// What somebody is and may do in the guild.
    pub(crate) fn member(&self, user: UserId) -> Option<Member> {
        let held = *self.members.get(&user)?;
        let roles = held.iter().filter_map(|slot| self.role_at(slot));
        Some(Member::compile(user, self.everyone_allows(), held, roles))
    }

    /// What somebody is and may do in a channel; `None` when there is no such member or no such channel.
    pub(crate) fn member_in(&self, channel: ChannelId, user: UserId) -> Option<Member> {
        let place = self.channels.get(&channel)?;
        Some(self.member(user)?.in_channel(&place.overrides))
    }

    /// What the channel says otherwise than the roles.
    pub(crate) fn overrides(&self, channel: ChannelId) -> Option<&Overrides> {
        self.channels.get(&channel).map(|place| &place.overrides)
    }

    /// What a channel says about a target.
    pub(crate) fn override_of(&self, channel: ChannelId, target: Target) -> Option<Override> {
        let overrides = self.overrides(channel)?;
        match target {
            Target::Member(user) => Some(overrides.of_member(user)),
            Target::Role(role) => {
                let slot = self.slot(role)?;
                Some(if self.everyone == Some(slot) {
                    overrides.everyone()
                } else {
                    overrides.of_role(slot)
                })
            }
        }
    }

    /// The oldest of the accounts that a channel has an override for though they are no members any more.
    pub(crate) fn overridden_leaver(&self, channel: ChannelId) -> Option<UserId> {
        let overridden = self.overrides(channel)?.member_ids();
        overridden
            .filter(|user| !self.members.contains_key(user))
            .min()
    }

    pub(crate) fn role(&self, id: RoleId) -> Option<Powers> {
        self.slot(id).and_then(|slot| self.role_at(slot))
    }

    /// The guild's role of a standing kind, which every guild has.
    pub(crate) fn standing_role(&self, kind: RoleKind) -> Option<(RoleId, Powers)> {
        let mut roles = self.roles.iter().flatten();
        roles.find(|(_, role)| role.kind == kind).copied()
    }

    /// The roles that were given to a member, in the order of their ids.
    pub(crate) fn role_ids(&self, member: Member) -> Vec<RoleId> {
        let held = member.held().iter();
        let mut ids: Vec<RoleId> = held
            .filter_map(|slot| Some(self.roles.get(slot.index())?.as_ref()?.0))
            .collect();
        ids.sort_unstable();
        ids
    }

    /// How many members hold `workspace_owner`.
    pub(crate) fn owners(&self) -> usize {
        let owner = self
            .standing_role(RoleKind::WorkspaceOwner)
            .and_then(|(id, _)| self.slot(id));
        owner.map_or(0, |slot| {
            self.members.values().filter(|held| held.has(slot)).count()
        })
    }

    pub(crate) fn channel(&self, id: ChannelId) -> Option<(&Channel, i64)> {
        let place = self.channels.get(&id)?;
        Some((&place.channel, place.position))
    }

    /// The channels that a member sees, in their order.
    pub(crate) fn channels_of(&self, user: UserId) -> Vec<Channel> {
        let Some(member) = self.member(user) else {
            return Vec::new();
        };
        let mut seen: Vec<&Place> = self
            .channels
            .values()
            .filter(|place| member.in_channel(&place.overrides).sees_channel())
            .collect();
        seen.sort_by_key(|place| place.order());
        seen.into_iter()
            .map(|place| place.channel.clone())
            .collect()
    }

    /// Whether a channel is hidden from nobody: somebody without roles sees it, and it takes sight from no role and no member.
    pub(crate) fn is_seen_by_everyone(&self, channel: ChannelId) -> bool {
        let sight = Permission::CreateMessage;
        let overrides = self.overrides(channel);
        overrides.is_some_and(|overrides| {
            let allowed = overrides.everyone().apply(self.everyone_allows());
            allowed.has(sight) && !overrides.is_denied_to_some(sight)
        })
    }

    /// The ids of all channels, in their order.
    pub(crate) fn channel_ids(&self) -> Vec<ChannelId> {
        let mut places: Vec<&Place> = self.channels.values().collect();
        places.sort_by_key(|place| place.order());
        places
            .into_iter()
            .map(|place| place.channel.channel_id)
            .collect()
    }

    /// Whether `channel`, new or changed, fits into one answer with the others. Making a channel smaller always does.
    pub(crate) fn has_room_for(&self, channel: &Channel) -> bool {
        let known = self.channels.get(&channel.channel_id);
        let (was, is) = (
            known.map_or(0, |place| place.channel.bytes()),
            channel.bytes(),
        );
        let all: usize = self.channels.values().map(|one| one.channel.bytes()).sum();
        is <= was || all - was + is <= CHANNELS_BYTES_MAX
    }

    /// Where a new channel goes: behind the last.
    pub(crate) fn next_channel_position(&self) -> i64 {
        let last = self.channels.values().map(|place| place.position).max();
        last.map_or(0, |last| last + 1)
    }

    /// Whether an address is banned at `now`, in unix seconds.
    pub(crate) fn is_address_banned(&self, address: IpAddr, now: i64) -> bool {
        self.ip_bans
            .get(&address)
            .is_some_and(|expires_at| expires_at.is_none_or(|at| at > now))
    }

    /// How much memory the guild takes, counted in entries.
    pub(crate) fn entries(&self) -> usize {
        let overrides: usize = self.channels.values().map(|p| p.overrides.members()).sum();
        ROLES_MAX + self.members.len() + self.channels.len() + overrides + self.ip_bans.len()
    }

    fn slot(&self, id: RoleId) -> Option<RoleSlot> {
        let index = self
            .roles
            .iter()
            .position(|role| role.is_some_and(|(known, _)| known == id));
        index.and_then(RoleSlot::at)
    }

    fn role_at(&self, slot: RoleSlot) -> Option<Powers> {
        let (_, role) = self.roles.get(slot.index())?.as_ref()?;
        Some(*role)
    }

    fn everyone_allows(&self) -> PermissionSet {
        let everyone = self.everyone.and_then(|slot| self.role_at(slot));
        everyone.map_or(PermissionSet::NONE, |role| role.permissions)
    }

    /// A guild with more roles than it may have (which cannot come to be) ignores the rest: they allow nothing.
    fn set_role(&mut self, role_id: RoleId, role: Powers) {
        let free = || self.roles.iter().position(Option::is_none);
        let index = self
            .slot(role_id)
            .map(RoleSlot::index)
            .or_else(free)
            .unwrap_or(self.roles.len());
        let Some(slot) = RoleSlot::at(index) else {
            return;
        };
        if index == self.roles.len() {
            self.roles.push(None);
        }
        self.roles[index] = Some((role_id, role));
        if role.kind == RoleKind::Everyone {
            self.everyone = Some(slot);
        }
    }

    fn remove_role(&mut self, role_id: RoleId) {
        let Some(slot) = self.slot(role_id) else {
            return;
        };
        // The slot will be another role's: nobody may keep it.
        for held in self.members.values_mut() {
            *held = held.without(slot);
        }
        for place in self.channels.values_mut() {
            place.overrides.set_role(slot, Override::default());
        }
        self.roles[slot.index()] = None;
        if self.default_join_role == Some(role_id) {
            self.default_join_role = None;
        }
    }

    fn set_override(&mut self, channel_id: ChannelId, target: Target, says: Override) {
        let slot = match target {
            Target::Role(role) => self.slot(role),
            Target::Member(_) => None,
        };
        let Some(place) = self.channels.get_mut(&channel_id) else {
            return;
        };
        match (target, slot) {
            (Target::Member(user), _) => place.overrides.set_member(user, says),
            (Target::Role(_), Some(slot)) if self.everyone == Some(slot) => {
                place.overrides.set_everyone(says);
            }
            (Target::Role(_), Some(slot)) => place.overrides.set_role(slot, says),
            (Target::Role(_), None) => {}
        }
    }
}

impl Place {
    /// Channels that were never moved stand at the same position, in the order of their making.
    fn order(&self) -> (i64, ChannelId) {
        (self.position, self.channel.channel_id)
    }
}

#[cfg(test)]
mod cost;
#[cfg(test)]
mod tests;

//! Proof of what a caller may reach. A function that needs a right takes its proof as an argument, so that a forgotten check
//! does not compile. What the caller may not know of answers 404.
//!
//! A proof is good for as long as a request takes; a change asks it again inside its transaction
//! ([`Membership::now`], [`ChannelAccess::now`]), so that a right that was lost before is not used after.

use std::{net::IpAddr, sync::Arc};

use filament_kernel::{
    ApiError,
    audit::AuditEntry,
    http::Origin,
    id::{ChannelId, GuildId, RoleId, UserId},
    log::{NewEvent, Stream},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    directory::Guild,
    domain::{
        act::Act,
        channel::Channel,
        channel_override::Overrides,
        hierarchy::Rank,
        member::{Member, Powers},
        permission::Permission,
    },
    sightings::Sighting,
    state::State,
};

/// The user is a member of the guild.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    guild: Arc<Guild>,
    user_id: UserId,
}

impl Membership {
    pub(crate) async fn of(
        state: &State,
        user_id: UserId,
        guild: GuildId,
    ) -> Result<Self, ApiError> {
        let guild = state.guild(guild).await?;
        let membership = Self { guild, user_id };
        membership.now()?;
        Ok(membership)
    }

    /// What the member is and may do at this moment.
    pub(crate) fn now(&self) -> Result<Member, ApiError> {
        self.guild
            .member(self.user_id)
            .ok_or_else(ApiError::not_found)
    }

    /// What the member is and may do in a channel at this moment; 404 for who does not see it.
    fn now_in(&self, channel: ChannelId) -> Result<Member, ApiError> {
        let member = self.guild.roster().member_in(channel, self.user_id);
        member
            .filter(|member| member.sees_channel())
            .ok_or_else(ApiError::not_found)
    }

    pub(crate) fn guild(&self) -> &Arc<Guild> {
        &self.guild
    }

    pub(crate) fn user_id(&self) -> UserId {
        self.user_id
    }
}

/// The user may see the channel and write in it, which is one right.
#[derive(Debug, Clone)]
pub(crate) struct ChannelAccess {
    membership: Membership,
    channel_id: ChannelId,
}

impl ChannelAccess {
    pub(crate) async fn of(
        state: &State,
        user_id: UserId,
        guild: GuildId,
        channel_id: ChannelId,
    ) -> Result<Self, ApiError> {
        let membership = Membership::of(state, user_id, guild).await?;
        let access = Self {
            membership,
            channel_id,
        };
        access.now()?;
        Ok(access)
    }

    /// What the member may do in the channel at this moment.
    pub(crate) fn now(&self) -> Result<Member, ApiError> {
        self.membership.now_in(self.channel_id)
    }

    pub(crate) fn guild_id(&self) -> GuildId {
        self.membership.guild.id
    }

    pub(crate) fn channel_id(&self) -> ChannelId {
        self.channel_id
    }

    pub(crate) fn user_id(&self) -> UserId {
        self.membership.user_id
    }
}

/// The user may see the channel, and writes from an address that is not banned.
#[derive(Debug, Clone)]
pub(crate) struct PostAccess {
    access: ChannelAccess,
    sighting: Sighting,
}

impl PostAccess {
    pub(crate) async fn of(
        state: &State,
        user_id: UserId,
        client_ip: IpAddr,
        guild: GuildId,
        channel_id: ChannelId,
    ) -> Result<Self, ApiError> {
        let access = ChannelAccess::of(state, user_id, guild, channel_id).await?;
        let now = state.host.clock.now_unix();
        let post = Self {
            sighting: state.sightings.of(guild, user_id, client_ip, now),
            access,
        };
        post.now(now)?;
        Ok(post)
    }

    /// What the author may do in the channel at this moment; `now_unix` is that moment.
    pub(crate) fn now(&self, now_unix: i64) -> Result<Member, ApiError> {
        let member = self.access.now()?;
        let membership = &self.access.membership;
        let is_banned = membership
            .guild()
            .is_address_banned(self.sighting.address, now_unix);
        // Who keeps the list must be able to mend it, whoever shares their address. It is the guild's list: no channel makes them its keeper.
        if is_banned && !membership.now()?.may(Permission::ManageIpBans) {
            return Err(ApiError::forbidden(
                "this guild does not take messages from your address",
            ));
        }
        Ok(member)
    }

    pub(crate) fn channel(&self) -> &ChannelAccess {
        &self.access
    }

    /// From where the author writes.
    pub(crate) fn sighting(&self) -> &Sighting {
        &self.sighting
    }
}

/// A member who is about to do something that takes a right, and the request by which they do it.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    membership: Membership,
    /// Where the act is judged, if the channel itself says who may do it.
    channel: Option<ChannelId>,
    act: Act,
    request_id: Arc<str>,
}

impl Actor {
    /// 404 for who is no member, 403 for a member without the right.
    pub(crate) async fn of(
        state: &State,
        user_id: UserId,
        guild: GuildId,
        act: Act,
        origin: Origin,
    ) -> Result<Self, ApiError> {
        Self::judged(state, user_id, guild, None, act, origin).await
    }

    /// The same for an act that is judged by what the member may do in a channel: its overrides give the right and take it. 404 also
    /// for who does not see the channel.
    pub(crate) async fn in_channel(
        state: &State,
        user_id: UserId,
        guild: GuildId,
        channel: ChannelId,
        act: Act,
        origin: Origin,
    ) -> Result<Self, ApiError> {
        Self::judged(state, user_id, guild, Some(channel), act, origin).await
    }

    async fn judged(
        state: &State,
        user_id: UserId,
        guild: GuildId,
        channel: Option<ChannelId>,
        act: Act,
        origin: Origin,
    ) -> Result<Self, ApiError> {
        let actor = Self {
            membership: Membership::of(state, user_id, guild).await?,
            channel,
            act,
            request_id: origin.request_id,
        };
        actor.now()?;
        Ok(actor)
    }

    /// What the actor is and may do at this moment, if they may still do what they are about to do.
    pub(crate) fn now(&self) -> Result<Member, ApiError> {
        let member = match self.channel {
            None => self.membership.now()?,
            Some(channel) => self.membership.now_in(channel)?,
        };
        self.act.check(member)?;
        Ok(member)
    }

    pub(crate) fn guild(&self) -> &Arc<Guild> {
        self.membership.guild()
    }

    pub(crate) fn guild_id(&self) -> GuildId {
        self.membership.guild.id
    }

    pub(crate) fn user_id(&self) -> UserId {
        self.membership.user_id
    }

    /// Another member, whom the actor may touch: somebody below their own rank.
    pub(crate) fn over_member(&self, user: UserId) -> Result<Member, ApiError> {
        let target = self.guild().member(user).ok_or_else(ApiError::not_found)?;
        self.now()?.check_over(target.rank)?;
        Ok(target)
    }

    /// The same for somebody who need not be a member.
    pub(crate) fn over_person(&self, user: UserId) -> Result<(), ApiError> {
        self.now()?.check_over(self.rank_of(user))
    }

    /// Lets the actor replace or lift a ban that `banned_by` has set, unless they stand above the actor.
    pub(crate) fn over_ban_by(&self, banned_by: UserId) -> Result<(), ApiError> {
        if self.rank_of(banned_by) > self.now()?.rank {
            return Err(ApiError::forbidden(
                "this ban was set by somebody above your own rank",
            ));
        }
        Ok(())
    }

    /// How high somebody stands, who need not be a member.
    fn rank_of(&self, user: UserId) -> Rank {
        let member = self.guild().member(user);
        member.map_or(Rank::LOWEST, |member| member.rank)
    }

    /// A member below the actor's rank, or the actor.
    pub(crate) fn over_member_or_self(&self, user: UserId) -> Result<Member, ApiError> {
        if user == self.user_id() {
            self.now()
        } else {
            self.over_member(user)
        }
    }

    /// A role that the actor may touch.
    pub(crate) fn over_role(&self, id: RoleId) -> Result<Powers, ApiError> {
        let role = self.guild().roster().role(id);
        let role = role.ok_or_else(ApiError::not_found)?;
        self.now()?.check_over_role(role)?;
        Ok(role)
    }

    /// Whether the actor may know of a channel: one that they see or, for an owner, one that is gone.
    pub(crate) fn may_know_of(&self, channel: ChannelId) -> bool {
        let roster = self.guild().roster();
        let member = roster
            .member_in(channel, self.user_id())
            .or_else(|| roster.member(self.user_id()).filter(|one| one.is_owner()));
        member.is_some_and(Member::sees_channel)
    }

    /// 404 for who does not see the channel.
    pub(crate) fn check_sees(&self, channel: ChannelId) -> Result<(), ApiError> {
        if self.guild().sees(self.user_id(), channel) {
            Ok(())
        } else {
            Err(ApiError::not_found())
        }
    }

    /// A channel and where it stands.
    pub(crate) fn channel(&self, id: ChannelId) -> Result<(Channel, i64), ApiError> {
        let roster = self.guild().roster();
        let (channel, position) = roster.channel(id).ok_or_else(ApiError::not_found)?;
        Ok((channel.clone(), position))
    }

    /// What a channel says otherwise than the roles.
    pub(crate) fn overrides(&self, channel: ChannelId) -> Result<Overrides, ApiError> {
        let roster = self.guild().roster();
        let overrides = roster.overrides(channel);
        overrides.cloned().ok_or_else(ApiError::not_found)
    }

    /// An event for the guild.
    pub(crate) fn event(
        &self,
        name: &'static str,
        payload: &impl Serialize,
    ) -> Result<NewEvent, ApiError> {
        NewEvent::new(Stream::Guild(self.guild_id()), name, payload)
    }

    /// The entry of the audit log about what the actor does.
    pub(crate) fn entry(&self, target: Option<UserId>, details: Option<Value>) -> AuditEntry {
        AuditEntry {
            actor: Some(self.user_id()),
            action: self.act.audit_action(),
            guild: Some(self.guild_id()),
            target,
            details,
            request_id: Some(self.request_id.clone()),
        }
    }
}

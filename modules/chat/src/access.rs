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
        let guild = self.membership.guild.roster();
        guild
            .member_in(self.channel_id, self.membership.user_id)
            .filter(|member| member.sees_channel())
            .ok_or_else(ApiError::not_found)
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
        let guild = self.access.membership.guild();
        // Who keeps the list must be able to mend it, whoever shares their address.
        let is_exempt = member.may(Permission::ManageIpBans);
        if !is_exempt && guild.is_address_banned(self.sighting.address, now_unix) {
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
        let actor = Self {
            membership: Membership::of(state, user_id, guild).await?,
            act,
            request_id: origin.request_id,
        };
        actor.now()?;
        Ok(actor)
    }

    /// What the actor is and may do at this moment, if they may still do what they are about to do.
    pub(crate) fn now(&self) -> Result<Member, ApiError> {
        let member = self.membership.now()?;
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
    pub(crate) fn over_person(&self, user: UserId) -> Result<Option<Member>, ApiError> {
        let target = self.guild().member(user);
        self.now()?
            .check_over(target.map_or(Rank::LOWEST, |target| target.rank))?;
        Ok(target)
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

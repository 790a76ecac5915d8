//! Proof of what a caller may reach. A function that needs a right takes its proof as an argument, so that a forgotten check
//! does not compile. What the caller may not know of answers 404.
//!
//! A proof is good for as long as a request takes; a change asks it again inside its transaction
//! ([`Membership::now`], [`ChannelAccess::now`]), so that a right that was lost before is not used after.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    id::{ChannelId, GuildId, UserId},
};

use crate::{directory::Guild, domain::member::Member, state::State};

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

    pub(crate) fn guild(&self) -> &Guild {
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
        let member = self.membership.now()?;
        if member.can_see_channels() && self.membership.guild.has_channel(self.channel_id) {
            Ok(member)
        } else {
            Err(ApiError::not_found())
        }
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

use std::sync::Arc;

use filament_kernel::{
    Caller,
    http::{JsonBytes, Valid},
    id::{ChannelId, GuildId},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;
use validator::Validate;

use super::{Answer, Tag};
use crate::{
    access::{ChannelAccess, Membership},
    changes,
    domain::{
        channel::{Channel, ChannelKind},
        name,
        permission::Permission,
        role::Standing,
    },
    page::{self, Page},
    state::State,
};

pub struct Channels(pub(super) Arc<State>);

/// What a new channel is to be.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct ChannelCreate {
    /// 1 to 64 UTF-16 code units, not blank.
    #[validate(custom(function = "name::guild_or_channel"))]
    name: String,
    #[oai(default)]
    kind: ChannelKind,
}

/// Channels of a guild, oldest first.
#[derive(Debug, Object, Serialize)]
struct ChannelList {
    channels: Vec<Channel>,
    /// Where the next page begins; null on the last.
    next_cursor: Option<ChannelId>,
}

/// What the caller is in a guild, and may do in one of its channels.
#[derive(Debug, Object, Serialize)]
struct ChannelPermissions {
    role: Standing,
    permissions: Vec<Permission>,
}

const CHANNELS_PER_PAGE: usize = 512;

#[OpenApi]
impl Channels {
    /// Create a channel
    ///
    /// For the owner, and for members with `manage_roles`; others get 403.
    #[oai(
        path = "/guilds/:guild_id/channels",
        method = "post",
        operation_id = "channel_create",
        tag = "Tag::Channels"
    )]
    async fn channel_create(
        &self,
        caller: Caller,
        guild_id: Path<GuildId>,
        body: Valid<ChannelCreate>,
    ) -> Answer<Channel> {
        let Valid(ChannelCreate { name, kind }) = body;
        let membership = Membership::of(&self.0, caller.user_id, guild_id.0).await?;
        let channel = changes::channel_create(&self.0, membership, name, kind).await?;
        JsonBytes::of(&channel)
    }

    /// List the channels of a guild
    ///
    /// Those that the caller may see, oldest first. All of them at once, unless there are hundreds.
    #[oai(
        path = "/guilds/:guild_id/channels",
        method = "get",
        operation_id = "channel_list",
        tag = "Tag::Channels"
    )]
    async fn channel_list(
        &self,
        caller: Caller,
        guild_id: Path<GuildId>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<ChannelId>>,
    ) -> Answer<ChannelList> {
        let membership = Membership::of(&self.0, caller.user_id, guild_id.0).await?;
        let mut channels = Vec::new();
        if membership.now()?.can_see_channels() {
            channels = membership
                .guild()
                .channels_after(cursor.0, CHANNELS_PER_PAGE + 1);
        }
        let more = page::trim(&mut channels, CHANNELS_PER_PAGE as u64);
        let next_cursor = channels.last().filter(|_| more).map(|last| last.channel_id);
        page::write(ChannelList {
            channels,
            next_cursor,
        })
    }

    /// What may I do in this channel
    ///
    /// The caller's role in the guild, and their permissions in the channel.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id/permissions/self",
        method = "get",
        operation_id = "permissions_self",
        tag = "Tag::Channels"
    )]
    async fn permissions_self(
        &self,
        caller: Caller,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
    ) -> Answer<ChannelPermissions> {
        let access = ChannelAccess::of(&self.0, caller.user_id, guild_id.0, channel_id.0).await?;
        let member = access.now()?;
        JsonBytes::of(&ChannelPermissions {
            role: member.standing,
            permissions: member.permissions().iter().collect(),
        })
    }
}

impl Page for ChannelList {
    fn len(&self) -> usize {
        self.channels.len()
    }

    fn cut(&mut self, entries: usize) {
        self.channels.truncate(entries);
        self.next_cursor = self.channels.last().map(|last| last.channel_id);
    }
}

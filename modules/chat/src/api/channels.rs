use std::sync::Arc;

use filament_kernel::{
    Caller,
    http::{JsonBytes, Origin, Valid},
    id::{ChannelId, GuildId},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;
use validator::Validate;

use super::{Accepted, Answer, Tag, accepted};
use crate::{
    access::{Actor, ChannelAccess, Membership},
    changes,
    domain::{
        act::Act,
        channel::{Channel, ChannelKind},
        name,
        permission::Permission,
        role::Standing,
    },
    events::ChannelFields,
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
    /// What it is about: at most 1024 UTF-16 code units.
    #[oai(default)]
    #[validate(custom(function = "name::topic"))]
    topic: String,
}

/// What of a channel is to change; one field at least.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct ChannelUpdate {
    /// 1 to 64 UTF-16 code units, not blank.
    #[validate(custom(function = "name::guild_or_channel"))]
    name: Option<String>,
    /// What it is about: at most 1024 UTF-16 code units.
    #[validate(custom(function = "name::topic"))]
    topic: Option<String>,
}

/// The channels in another order.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct ChannelReorder {
    /// Every channel that the caller sees.
    #[oai(validator(max_items = 1000))]
    channel_ids: Vec<ChannelId>,
}

/// Channels of a guild, in their order.
#[derive(Debug, Object, Serialize)]
struct ChannelList {
    channels: Vec<Channel>,
    /// Where the next page begins; null on the last.
    #[oai(nullable)]
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
        origin: Origin,
        guild_id: Path<GuildId>,
        body: Valid<ChannelCreate>,
    ) -> Answer<Channel> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::ChannelCreate,
            origin,
        );
        let actor = actor.await?;
        let Valid(ChannelCreate { name, kind, topic }) = body;
        JsonBytes::of(&changes::channel_create(&self.0, actor, name, kind, topic).await?)
    }

    /// Change a channel
    ///
    /// Its name or its topic. Takes `manage_roles`, and sight of the channel.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id",
        method = "patch",
        operation_id = "channel_update",
        tag = "Tag::Channels"
    )]
    async fn channel_update(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        body: Valid<ChannelUpdate>,
    ) -> Answer<Channel> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::ChannelUpdate,
            origin,
        );
        let actor = actor.await?;
        let Valid(ChannelUpdate { name, topic }) = body;
        if name.is_none() && topic.is_none() {
            return Err(super::nothing_to_change("name, topic"));
        }
        let fields = ChannelFields { name, topic };
        JsonBytes::of(&changes::channel_update(&self.0, actor, channel_id.0, fields).await?)
    }

    /// Delete a channel
    ///
    /// Takes `manage_roles`, and sight of the channel. Its messages go with it.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id",
        method = "delete",
        operation_id = "channel_delete",
        tag = "Tag::Channels"
    )]
    async fn channel_delete(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
    ) -> Answer<Accepted> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::ChannelDelete,
            origin,
        );
        changes::channel_delete(&self.0, actor.await?, channel_id.0).await?;
        accepted()
    }

    /// Reorder the channels
    ///
    /// Takes `manage_roles`. Channels that the caller does not see stay where they are. Members get `channel_reorder`, which names the
    /// channels that everybody sees; who sees more asks for the list.
    #[oai(
        path = "/guilds/:guild_id/channels/reorder",
        method = "post",
        operation_id = "channel_reorder",
        tag = "Tag::Channels"
    )]
    async fn channel_reorder(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        body: Valid<ChannelReorder>,
    ) -> Answer<Accepted> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::ChannelReorder,
            origin,
        );
        changes::channel_reorder(&self.0, actor.await?, body.0.channel_ids).await?;
        accepted()
    }

    /// List the channels of a guild
    ///
    /// Those that the caller may see, in their order. All of them at once: a guild has only as many channels, names and topics as fit.
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
        let mut channels =
            membership
                .guild()
                .channels_after(caller.user_id, cursor.0, CHANNELS_PER_PAGE + 1);
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

//! What the module tells open sockets. Message events are [`crate::domain::message::Message`]s, flat.

use filament_kernel::{
    ApiError,
    gateway::Gateway,
    id::{ChannelId, GuildId, UserId},
    log::Stream,
};
use serde::Serialize;

use crate::domain::{channel::Channel, role::Standing};

pub(crate) const MESSAGE_CREATE: &str = "message_create";
pub(crate) const CHANNEL_CREATE: &str = "channel_create";
pub(crate) const WORKSPACE_MEMBER_ADD: &str = "workspace_member_add";
pub(crate) const PRESENCE_SYNC: &str = "presence_sync";
pub(crate) const PRESENCE_UPDATE: &str = "presence_update";
pub(crate) const SUBSCRIBED: &str = "subscribed";

/// The users that a `presence_sync` names at most.
pub(crate) const PRESENCE_SYNC_MAX: usize = 1_024;

/// There is a new channel.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelCreate<'a> {
    pub(crate) guild_id: GuildId,
    pub(crate) channel: &'a Channel,
    pub(crate) actor_user_id: UserId,
}

/// Somebody has become a member; the first of a guild is the owner.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceMemberAdd {
    pub(crate) guild_id: GuildId,
    pub(crate) user_id: UserId,
    pub(crate) role: Standing,
    pub(crate) joined_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// Who of a guild is online.
#[derive(Debug, Serialize)]
pub(crate) struct PresenceSync {
    pub(crate) guild_id: GuildId,
    pub(crate) user_ids: Vec<UserId>,
}

/// The socket gets the channel's events from now on.
#[derive(Debug, Serialize)]
pub(crate) struct Subscribed {
    pub(crate) guild_id: GuildId,
    pub(crate) channel_id: ChannelId,
}

/// Somebody came or went.
#[derive(Debug, Serialize)]
struct PresenceUpdate {
    guild_id: GuildId,
    user_id: UserId,
    status: Status,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Online,
    Offline,
}

/// Tells the other followers of a guild that `user_id` came or went.
pub(crate) fn publish_presence(
    gateway: &dyn Gateway,
    guild_id: GuildId,
    user_id: UserId,
    status: Status,
) -> Result<(), ApiError> {
    let update = PresenceUpdate {
        guild_id,
        user_id,
        status,
    };
    let data = text(&update)?;
    gateway.publish(
        Stream::Guild(guild_id).into(),
        PRESENCE_UPDATE,
        &data,
        Some(user_id),
    );
    Ok(())
}

/// The payload of an event of the moment.
pub(crate) fn text(event: &impl Serialize) -> Result<String, ApiError> {
    serde_json::to_string(event).map_err(ApiError::internal)
}

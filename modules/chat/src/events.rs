//! What the module tells open sockets. The event of a new message is the [`crate::domain::message::Message`], flat.

use filament_kernel::{
    ApiError,
    gateway::Gateway,
    id::{ChannelId, GuildId, MessageId, UserId},
    log::Stream,
};
use serde::Serialize;

use crate::domain::{emoji::Emoji, markdown_tokens::MarkdownTokens, reaction::Operation};

mod channels;
mod guilds;
mod members;
mod roles;

pub(crate) use channels::*;
pub(crate) use guilds::*;
pub(crate) use members::*;
pub(crate) use roles::*;

pub(crate) const MESSAGE_CREATE: &str = "message_create";
pub(crate) const MESSAGE_UPDATE: &str = "message_update";
pub(crate) const MESSAGE_DELETE: &str = "message_delete";
pub(crate) const MESSAGE_REACTION: &str = "message_reaction";
pub(crate) const PRESENCE_SYNC: &str = "presence_sync";
pub(crate) const PRESENCE_UPDATE: &str = "presence_update";
pub(crate) const SUBSCRIBED: &str = "subscribed";

/// The users that a `presence_sync` names at most.
pub(crate) const PRESENCE_SYNC_MAX: usize = 1_024;

/// A message has another content.
#[derive(Debug, Serialize)]
pub(crate) struct MessageUpdate<'a> {
    pub(crate) guild_id: GuildId,
    pub(crate) channel_id: ChannelId,
    pub(crate) message_id: MessageId,
    pub(crate) updated_fields: MessageFields<'a>,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// What of a message may change.
#[derive(Debug, Serialize)]
pub(crate) struct MessageFields<'a> {
    pub(crate) content: &'a str,
    pub(crate) markdown_tokens: &'a MarkdownTokens,
}

/// A message is gone, and its reactions with it.
#[derive(Debug, Serialize)]
pub(crate) struct MessageDelete {
    pub(crate) guild_id: GuildId,
    pub(crate) channel_id: ChannelId,
    pub(crate) message_id: MessageId,
    pub(crate) deleted_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// Somebody has reacted, or does not any more; `count` is how many have this emoji set now.
#[derive(Debug, Serialize)]
pub(crate) struct MessageReaction<'a> {
    pub(crate) guild_id: GuildId,
    pub(crate) channel_id: ChannelId,
    pub(crate) message_id: MessageId,
    pub(crate) emoji: &'a Emoji,
    pub(crate) count: u64,
    pub(crate) operation: Operation,
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

use filament_kernel::id::{ChannelId, GuildId, UserId};
use serde::Serialize;

use crate::domain::{
    channel::Channel, channel_override::TargetKind, permission::Permission, role::Standing,
};

pub(crate) const CHANNEL_CREATE: &str = "channel_create";
pub(crate) const CHANNEL_UPDATE: &str = "channel_update";
pub(crate) const CHANNEL_DELETE: &str = "channel_delete";
pub(crate) const CHANNEL_REORDER: &str = "channel_reorder";
pub(crate) const WORKSPACE_CHANNEL_ROLE_OVERRIDE_UPDATE: &str =
    "workspace_channel_role_override_update";
pub(crate) const WORKSPACE_CHANNEL_PERMISSION_OVERRIDE_UPDATE: &str =
    "workspace_channel_permission_override_update";

/// There is a new channel.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelCreate<'a> {
    pub(crate) guild_id: GuildId,
    pub(crate) channel: &'a Channel,
    pub(crate) actor_user_id: UserId,
}

/// A channel has another name or topic.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelUpdate {
    pub(crate) guild_id: GuildId,
    pub(crate) channel_id: ChannelId,
    pub(crate) updated_fields: ChannelFields,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// What of a channel has changed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChannelFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<String>,
}

/// A channel is gone, and its messages with it.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelDelete {
    pub(crate) guild_id: GuildId,
    pub(crate) channel_id: ChannelId,
    pub(crate) deleted_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// Channels stand in another order. Only those are named that everybody sees; who sees more asks for them.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelReorder {
    pub(crate) guild_id: GuildId,
    pub(crate) channel_ids: Vec<ChannelId>,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// What a channel says otherwise than the roles: all of it, not what has changed.
#[derive(Debug, Serialize)]
pub(crate) struct OverrideFields {
    pub(crate) allow: Vec<Permission>,
    pub(crate) deny: Vec<Permission>,
}

/// A channel says something else about one of the three standings.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelRoleOverrideUpdate<'a> {
    pub(crate) guild_id: GuildId,
    pub(crate) channel_id: ChannelId,
    pub(crate) role: Standing,
    pub(crate) updated_fields: &'a OverrideFields,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// A channel says something else about a role or a member.
#[derive(Debug, Serialize)]
pub(crate) struct ChannelPermissionOverrideUpdate<'a> {
    pub(crate) guild_id: GuildId,
    pub(crate) channel_id: ChannelId,
    pub(crate) target_kind: TargetKind,
    /// The id; for a role that stands for a standing, that word.
    pub(crate) target_id: &'a str,
    pub(crate) updated_fields: &'a OverrideFields,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

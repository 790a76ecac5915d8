use filament_kernel::id::{GuildId, UserId};
use serde::Serialize;

use crate::domain::role::Standing;

pub(crate) const WORKSPACE_MEMBER_ADD: &str = "workspace_member_add";
pub(crate) const WORKSPACE_MEMBER_UPDATE: &str = "workspace_member_update";
pub(crate) const WORKSPACE_MEMBER_REMOVE: &str = "workspace_member_remove";
pub(crate) const WORKSPACE_MEMBER_BAN: &str = "workspace_member_ban";

/// Somebody has become a member; the first of a guild is the owner.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceMemberAdd {
    pub(crate) guild_id: GuildId,
    pub(crate) user_id: UserId,
    pub(crate) role: Standing,
    pub(crate) joined_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// Somebody stands higher or lower.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceMemberUpdate {
    pub(crate) guild_id: GuildId,
    pub(crate) user_id: UserId,
    pub(crate) updated_fields: MemberFields,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// What of a member has changed.
#[derive(Debug, Serialize)]
pub(crate) struct MemberFields {
    pub(crate) role: Standing,
}

/// Somebody is no member any more.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceMemberRemove {
    pub(crate) guild_id: GuildId,
    pub(crate) user_id: UserId,
    pub(crate) reason: RemovalReason,
    pub(crate) removed_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// Why somebody is no member any more.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RemovalReason {
    Kick,
    Ban,
    Leave,
}

/// Somebody is banned.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceMemberBan {
    pub(crate) guild_id: GuildId,
    pub(crate) user_id: UserId,
    pub(crate) banned_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

use filament_kernel::id::{GuildId, UserId};
use serde::Serialize;

use crate::domain::guild::Visibility;

pub(crate) const WORKSPACE_UPDATE: &str = "workspace_update";
pub(crate) const WORKSPACE_DELETE: &str = "workspace_delete";
pub(crate) const WORKSPACE_IP_BAN_SYNC: &str = "workspace_ip_ban_sync";

/// A guild has another name or visibility.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceUpdate {
    pub(crate) guild_id: GuildId,
    pub(crate) updated_fields: WorkspaceFields,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// What of a guild has changed.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) visibility: Option<Visibility>,
}

/// A guild is gone; the last that anybody hears of it.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceDelete {
    pub(crate) guild_id: GuildId,
    pub(crate) deleted_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// The bans of addresses have changed; who may see them asks for them.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceIpBanSync {
    pub(crate) guild_id: GuildId,
    pub(crate) summary: IpBanSummary,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// How they have changed.
#[derive(Debug, Serialize)]
pub(crate) struct IpBanSummary {
    pub(crate) action: IpBanAction,
    pub(crate) changed_count: usize,
}

/// What was done to bans of addresses.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IpBanAction {
    Upsert,
    Remove,
}

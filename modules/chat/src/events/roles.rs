use filament_kernel::id::{GuildId, RoleId, UserId};
use serde::Serialize;

use crate::domain::{permission::Permission, role::Role};

pub(crate) const WORKSPACE_ROLE_CREATE: &str = "workspace_role_create";
pub(crate) const WORKSPACE_ROLE_UPDATE: &str = "workspace_role_update";
pub(crate) const WORKSPACE_ROLE_DELETE: &str = "workspace_role_delete";
pub(crate) const WORKSPACE_ROLE_REORDER: &str = "workspace_role_reorder";
pub(crate) const WORKSPACE_ROLE_ASSIGNMENT_ADD: &str = "workspace_role_assignment_add";
pub(crate) const WORKSPACE_ROLE_ASSIGNMENT_REMOVE: &str = "workspace_role_assignment_remove";

/// There is a new role.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceRoleCreate<'a> {
    pub(crate) guild_id: GuildId,
    pub(crate) role: &'a Role,
    pub(crate) actor_user_id: UserId,
}

/// A role has changed.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceRoleUpdate {
    pub(crate) guild_id: GuildId,
    pub(crate) role_id: RoleId,
    pub(crate) updated_fields: RoleFields,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// What of a role has changed. A colour that was cleared is null.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RoleFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permissions: Option<Vec<Permission>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) color_hex: Option<Option<String>>,
}

/// A role is gone.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceRoleDelete {
    pub(crate) guild_id: GuildId,
    pub(crate) role_id: RoleId,
    pub(crate) deleted_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// Roles stand in another order, the mightiest first; those that no guild can change are not named.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceRoleReorder {
    pub(crate) guild_id: GuildId,
    pub(crate) role_ids: Vec<RoleId>,
    pub(crate) updated_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// A member was given a role.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceRoleAssignmentAdd {
    pub(crate) guild_id: GuildId,
    pub(crate) user_id: UserId,
    pub(crate) role_id: RoleId,
    pub(crate) assigned_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

/// A role was taken from a member.
#[derive(Debug, Serialize)]
pub(crate) struct WorkspaceRoleAssignmentRemove {
    pub(crate) guild_id: GuildId,
    pub(crate) user_id: UserId,
    pub(crate) role_id: RoleId,
    pub(crate) removed_at_unix: i64,
    pub(crate) actor_user_id: UserId,
}

use std::sync::Arc;

use filament_kernel::{
    ApiError, Caller,
    http::{JsonBytes, Origin, Valid},
    id::{GuildId, RoleId, UserId},
};
use poem_openapi::{Object, OpenApi, param::Path, types::MaybeUndefined};
use serde::Serialize;
use validator::Validate;

use super::{Accepted, Answer, Tag, accepted};
use crate::{
    access::{Actor, Membership},
    changes::{self, NewRole, RoleChange},
    domain::{
        act::Act,
        name,
        permission::Permission,
        role::{self, Role},
    },
    state::State,
    store,
};

pub struct Roles(pub(super) Arc<State>);

/// What a new role is to be.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct RoleCreate {
    /// 1 to 32 UTF-16 code units, not blank.
    #[validate(custom(function = "name::role"))]
    name: String,
    /// What holding it allows.
    permissions: Vec<Permission>,
    /// From 1, the lowest; the roles from there on move up by one. The lowest if not given.
    position: Option<i64>,
    /// `#RRGGBB`.
    #[validate(custom(function = "role::color"))]
    color_hex: Option<String>,
}

/// What of a role is to change; one field at least.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct RoleUpdate {
    /// 1 to 32 UTF-16 code units, not blank.
    #[validate(custom(function = "name::role"))]
    name: Option<String>,
    /// What holding it allows: all of it, not what is added.
    permissions: Option<Vec<Permission>>,
    /// `#RRGGBB`; null clears it.
    #[oai(nullable)]
    color_hex: MaybeUndefined<String>,
}

/// The roles in another order.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct RoleReorder {
    /// Every role of the guild but `@everyone` and `workspace_owner`, the mightiest first.
    #[oai(validator(max_items = 64))]
    role_ids: Vec<RoleId>,
}

/// What who joins is to be given.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct RoleDefault {
    /// Null for no role.
    #[oai(nullable)]
    role_id: MaybeUndefined<RoleId>,
}

/// The roles of a guild, the mightiest first.
#[derive(Debug, Object, Serialize)]
struct RoleList {
    roles: Vec<Role>,
    /// What who joins is given; null for nothing.
    #[oai(nullable)]
    default_join_role_id: Option<RoleId>,
}

#[OpenApi]
impl Roles {
    /// List the roles of a guild
    ///
    /// The mightiest first. For every member.
    #[oai(
        path = "/guilds/:guild_id/roles",
        method = "get",
        operation_id = "role_list",
        tag = "Tag::Roles"
    )]
    async fn role_list(&self, caller: Caller, guild_id: Path<GuildId>) -> Answer<RoleList> {
        let membership = Membership::of(&self.0, caller.user_id, guild_id.0).await?;
        let db = self.0.host.db.read();
        let roles = store::roles::of_guild(db, guild_id.0).await?;
        let default_join_role_id = membership.guild().roster().default_join_role();
        JsonBytes::of(&RoleList {
            roles: roles.into_iter().map(|(_, role)| role).collect(),
            default_join_role_id,
        })
    }

    /// Create a role
    ///
    /// Takes `manage_workspace_roles`. Nobody grants permissions that they lack, or makes a role above their own rank.
    #[oai(
        path = "/guilds/:guild_id/roles",
        method = "post",
        operation_id = "role_create",
        tag = "Tag::Roles"
    )]
    async fn role_create(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        body: Valid<RoleCreate>,
    ) -> Answer<Role> {
        let actor = self
            .actor(caller, guild_id, Act::RoleCreate, origin)
            .await?;
        let Valid(new) = body;
        let new = NewRole {
            name: new.name,
            permissions: new.permissions.into_iter().collect(),
            position: new.position,
            color_hex: new.color_hex,
        };
        JsonBytes::of(&changes::role_create(&self.0, actor, new).await?)
    }

    /// Change a role
    ///
    /// Takes `manage_workspace_roles` and a rank above the role; only permissions that the caller has can change. Of `@everyone` only the
    /// permissions can be changed, of `workspace_owner` nothing.
    #[oai(
        path = "/guilds/:guild_id/roles/:role_id",
        method = "patch",
        operation_id = "role_update",
        tag = "Tag::Roles"
    )]
    async fn role_update(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        role_id: Path<RoleId>,
        body: Valid<RoleUpdate>,
    ) -> Answer<Role> {
        let actor = self
            .actor(caller, guild_id, Act::RoleUpdate, origin)
            .await?;
        let Valid(update) = body;
        let change = update.into_change()?;
        JsonBytes::of(&changes::role_update(&self.0, actor, role_id.0, change).await?)
    }

    /// Delete a role
    ///
    /// Takes `manage_workspace_roles` and a rank above the role. Whoever holds it holds it no more. `@everyone`, `member`, `moderator` and
    /// `workspace_owner` are in every guild: deleting them answers 403.
    #[oai(
        path = "/guilds/:guild_id/roles/:role_id",
        method = "delete",
        operation_id = "role_delete",
        tag = "Tag::Roles"
    )]
    async fn role_delete(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        role_id: Path<RoleId>,
    ) -> Answer<Accepted> {
        let actor = self
            .actor(caller, guild_id, Act::RoleDelete, origin)
            .await?;
        changes::role_delete(&self.0, actor, role_id.0).await?;
        accepted()
    }

    /// Reorder the roles
    ///
    /// Takes `manage_workspace_roles`; roles at or above the caller's rank must stay where they are.
    #[oai(
        path = "/guilds/:guild_id/roles/reorder",
        method = "post",
        operation_id = "role_reorder",
        tag = "Tag::Roles"
    )]
    async fn role_reorder(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        body: Valid<RoleReorder>,
    ) -> Answer<Accepted> {
        let actor = self
            .actor(caller, guild_id, Act::RoleReorder, origin)
            .await?;
        changes::role_reorder(&self.0, actor, body.0.role_ids).await?;
        accepted()
    }

    /// Say which role who joins is given
    ///
    /// Takes `manage_workspace_roles`, a rank above the role and above the one that was given so far, and the permissions that it grants.
    #[oai(
        path = "/guilds/:guild_id/roles/default",
        method = "post",
        operation_id = "role_default",
        tag = "Tag::Roles"
    )]
    async fn role_default(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        body: Valid<RoleDefault>,
    ) -> Answer<Accepted> {
        let actor = self
            .actor(caller, guild_id, Act::RoleDefault, origin)
            .await?;
        let role_id = match body.0.role_id {
            MaybeUndefined::Undefined => {
                return Err(ApiError::invalid(
                    "role_id",
                    "must be given, null for no role",
                ));
            }
            MaybeUndefined::Null => None,
            MaybeUndefined::Value(role_id) => Some(role_id),
        };
        changes::role_default(&self.0, actor, role_id).await?;
        accepted()
    }

    /// Give a role to a member
    ///
    /// Takes `manage_member_roles`, a rank above both the role and the member, and the permissions that the role grants.
    #[oai(
        path = "/guilds/:guild_id/roles/:role_id/members/:user_id",
        method = "post",
        operation_id = "role_assign",
        tag = "Tag::Roles"
    )]
    async fn role_assign(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        role_id: Path<RoleId>,
        user_id: Path<UserId>,
    ) -> Answer<Accepted> {
        let actor = self
            .actor(caller, guild_id, Act::RoleAssign, origin)
            .await?;
        changes::role_assign(&self.0, actor, role_id.0, user_id.0).await?;
        accepted()
    }

    /// Take a role from a member
    ///
    /// Takes `manage_member_roles` and a rank above both the role and the member. The last owner stays the owner.
    #[oai(
        path = "/guilds/:guild_id/roles/:role_id/members/:user_id",
        method = "delete",
        operation_id = "role_unassign",
        tag = "Tag::Roles"
    )]
    async fn role_unassign(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        role_id: Path<RoleId>,
        user_id: Path<UserId>,
    ) -> Answer<Accepted> {
        let actor = self
            .actor(caller, guild_id, Act::RoleUnassign, origin)
            .await?;
        changes::role_unassign(&self.0, actor, role_id.0, user_id.0).await?;
        accepted()
    }
}

impl Roles {
    async fn actor(
        &self,
        caller: Caller,
        guild_id: Path<GuildId>,
        act: Act,
        origin: Origin,
    ) -> Result<Actor, ApiError> {
        Actor::of(&self.0, caller.user_id, guild_id.0, act, origin).await
    }
}

impl RoleUpdate {
    fn into_change(self) -> Result<RoleChange, ApiError> {
        let color_hex = match self.color_hex {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(color) => {
                role::color(&color).map_err(|error| ApiError::invalid("color_hex", error))?;
                Some(Some(color))
            }
        };
        if self.name.is_none() && self.permissions.is_none() && color_hex.is_none() {
            return Err(super::nothing_to_change("name, permissions, color_hex"));
        }
        Ok(RoleChange {
            name: self.name,
            permissions: self.permissions.map(|all| all.into_iter().collect()),
            color_hex,
        })
    }
}

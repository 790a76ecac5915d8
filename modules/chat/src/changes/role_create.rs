use std::sync::Arc;

use filament_kernel::{ApiError, ErrorCode, db::WriteTx, id::GuildId};
use serde_json::json;

use super::{
    deed::{Deed, Done, carry_out},
    role_reorder::reordered,
};
use crate::{
    access::Actor,
    domain::{
        hierarchy::Rank,
        permission::PermissionSet,
        role::{Role, RoleKind},
        role_set::ROLES_MAX,
        roster::Fact,
    },
    events::{self, WORKSPACE_ROLE_CREATE},
    state::State,
    store,
};

/// What a new role is to be.
#[derive(Debug)]
pub(crate) struct NewRole {
    pub(crate) name: String,
    pub(crate) permissions: PermissionSet,
    /// From 1, the lowest; the roles from there on move up by one. The lowest if not given.
    pub(crate) position: Option<i64>,
    pub(crate) color_hex: Option<String>,
}

/// Makes a role.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn role_create(
    state: &Arc<State>,
    actor: Actor,
    new: NewRole,
) -> Result<Role, ApiError> {
    carry_out(state, RoleCreate { actor, new }).await
}

struct RoleCreate {
    actor: Actor,
    new: NewRole,
}

impl RoleCreate {
    /// The position of the new role, if the actor may make it there.
    fn position(&self, roles: &[(RoleKind, Role)]) -> Result<i64, ApiError> {
        let member = self.actor.now()?;
        member.check_grant(self.new.permissions)?;
        if roles.len() >= ROLES_MAX {
            return Err(ApiError::new(
                ErrorCode::QUOTA_EXCEEDED,
                format!("a guild has {ROLES_MAX} roles at most"),
            ));
        }
        let owner = roles
            .iter()
            .find(|(kind, _)| *kind == RoleKind::WorkspaceOwner);
        let top = owner.map_or(1, |(_, role)| role.position);
        let position = self.new.position.unwrap_or(1);
        if !(1..=top).contains(&position) {
            return Err(ApiError::invalid(
                "position",
                format!("must be 1 to {top}, got {position}"),
            ));
        }
        // At the actor's own position the role ends up right below them.
        if Rank::Position(position) > member.rank {
            return Err(ApiError::forbidden(
                "nobody makes a role above their own rank",
            ));
        }
        Ok(position)
    }
}

impl Deed for RoleCreate {
    type Output = Role;

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<Role>, ApiError> {
        let Self { actor, new } = self;
        let guild_id = actor.guild_id();
        let roles = store::roles::of_guild(tx, guild_id).await?;
        let position = self.position(&roles)?;
        let role = Role {
            role_id: state.host.ids.next(),
            name: new.name.clone(),
            position,
            is_system: false,
            permissions: new.permissions.iter().collect(),
            color_hex: new.color_hex.clone(),
        };
        store::roles::make_room(tx, guild_id, position).await?;
        store::roles::insert(tx, guild_id, RoleKind::Custom, &role).await?;
        let created = actor.event(
            WORKSPACE_ROLE_CREATE,
            &events::WorkspaceRoleCreate {
                guild_id,
                role: &role,
                actor_user_id: actor.user_id(),
            },
        )?;
        let roles = store::roles::of_guild(tx, guild_id).await?;
        let moved = reordered(actor, &roles, state.host.clock.now_unix())?;
        let details = json!({
            "role_id": role.role_id, "name": role.name, "permissions": role.permissions,
        });
        Ok(Done {
            events: vec![created, moved],
            facts: roles.iter().map(|(k, r)| Fact::of_role(*k, r)).collect(),
            entry: Some(actor.entry(None, Some(details))),
            output: role,
        })
    }
}

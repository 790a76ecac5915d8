use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, RoleId},
};
use serde_json::json;

use super::{
    deed::{Deed, Done, carry_out},
    effects::revises_sight,
};
use crate::{
    access::Actor,
    domain::{
        permission::PermissionSet,
        role::{Role, RoleKind},
        roster::Fact,
    },
    events::{self, RoleFields, WORKSPACE_ROLE_UPDATE},
    state::State,
    store,
};

/// What of a role is to change.
#[derive(Debug)]
pub(crate) struct RoleChange {
    pub(crate) name: Option<String>,
    pub(crate) permissions: Option<PermissionSet>,
    /// `Some(None)` clears it.
    pub(crate) color_hex: Option<Option<String>>,
}

/// Changes a role. Of `@everyone` only the permissions can change, of `workspace_owner` nothing.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn role_update(
    state: &Arc<State>,
    actor: Actor,
    role_id: RoleId,
    change: RoleChange,
) -> Result<Role, ApiError> {
    let deed = RoleUpdate {
        actor,
        role_id,
        change,
    };
    carry_out(state, deed).await
}

struct RoleUpdate {
    actor: Actor,
    role_id: RoleId,
    change: RoleChange,
}

impl RoleUpdate {
    fn check(&self, kind: RoleKind, was: PermissionSet) -> Result<(), ApiError> {
        self.actor.over_role(self.role_id)?;
        let fixed = match kind {
            RoleKind::WorkspaceOwner => true,
            RoleKind::Everyone => self.change.name.is_some() || self.change.color_hex.is_some(),
            RoleKind::Member | RoleKind::Moderator | RoleKind::Custom => false,
        };
        if fixed {
            return Err(ApiError::forbidden(
                "this role is the same in every guild; only the permissions of @everyone can be changed",
            ));
        }
        let permissions = self.change.permissions.unwrap_or(was);
        self.actor.now()?.check_grant(permissions.difference(was))
    }
}

impl Deed for RoleUpdate {
    type Output = Role;

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<Role>, ApiError> {
        let Self {
            actor,
            role_id,
            change,
        } = self;
        let guild_id = actor.guild_id();
        let found = store::roles::find(tx, guild_id, *role_id).await?;
        let (kind, was) = found.ok_or_else(ApiError::not_found)?;
        self.check(kind, was.permission_set())?;
        let fields = RoleFields {
            name: change.name.clone(),
            permissions: change.permissions.map(|set| set.iter().collect()),
            color_hex: change.color_hex.clone(),
        };
        let role = Role {
            name: fields.name.clone().unwrap_or_else(|| was.name.clone()),
            permissions: fields
                .permissions
                .clone()
                .unwrap_or_else(|| was.permissions.clone()),
            color_hex: fields
                .color_hex
                .clone()
                .unwrap_or_else(|| was.color_hex.clone()),
            ..was
        };
        if role == was {
            return Ok(Done::nothing(role));
        }
        store::roles::update(tx, guild_id, &role).await?;
        let details = json!({ "role_id": role_id, "changed": fields });
        let event = actor.event(
            WORKSPACE_ROLE_UPDATE,
            &events::WorkspaceRoleUpdate {
                guild_id,
                role_id: *role_id,
                updated_fields: fields,
                updated_at_unix: state.host.clock.now_unix(),
                actor_user_id: actor.user_id(),
            },
        )?;
        Ok(Done {
            events: vec![event.with_effect(revises_sight(actor.guild()))],
            facts: vec![Fact::of_role(kind, &role)],
            entry: Some(actor.entry(None, Some(details))),
            output: role,
        })
    }
}

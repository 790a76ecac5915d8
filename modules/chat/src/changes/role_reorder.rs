use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, RoleId},
    log::NewEvent,
};
use serde_json::json;

use super::deed::{Deed, Done, carry_out};
use crate::{
    access::Actor,
    domain::{
        role::{Role, RoleKind},
        roster::Fact,
    },
    events::{self, WORKSPACE_ROLE_REORDER},
    state::State,
    store,
};

/// Puts the roles into another order: all but those that no guild can change, the mightiest first.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn role_reorder(
    state: &Arc<State>,
    actor: Actor,
    role_ids: Vec<RoleId>,
) -> Result<(), ApiError> {
    carry_out(state, RoleReorder { actor, role_ids }).await
}

/// The event that tells the order of `roles`, which are the guild's, the mightiest first.
pub(super) fn reordered(
    actor: &Actor,
    roles: &[(RoleKind, Role)],
    now: i64,
) -> Result<NewEvent, ApiError> {
    actor.event(
        WORKSPACE_ROLE_REORDER,
        &events::WorkspaceRoleReorder {
            guild_id: actor.guild_id(),
            role_ids: movable(roles).map(|role| role.role_id).collect(),
            updated_at_unix: now,
            actor_user_id: actor.user_id(),
        },
    )
}

fn movable(roles: &[(RoleKind, Role)]) -> impl Iterator<Item = &Role> {
    let movable = roles.iter().filter(|(kind, _)| !kind.is_system());
    movable.map(|(_, role)| role)
}

struct RoleReorder {
    actor: Actor,
    role_ids: Vec<RoleId>,
}

impl RoleReorder {
    fn check(&self, roles: &[(RoleKind, Role)]) -> Result<(), ApiError> {
        let member = self.actor.now()?;
        let was: Vec<RoleId> = movable(roles).map(|role| role.role_id).collect();
        let (mut known, mut asked) = (was.clone(), self.role_ids.clone());
        known.sort_unstable();
        asked.sort_unstable();
        if known != asked {
            return Err(ApiError::invalid(
                "role_ids",
                "must name every role of the guild once, but for @everyone and workspace_owner",
            ));
        }
        // Whoever may be touched stands below the actor, so nobody else has moved when those above stand as before.
        let above = roles.iter().filter(|(kind, role)| {
            !kind.is_system() && member.check_over_role(role.powers(*kind)).is_err()
        });
        let above = above.count();
        if was[..above] != self.role_ids[..above] {
            return Err(ApiError::forbidden(
                "nobody moves roles at or above their own rank",
            ));
        }
        Ok(())
    }
}

impl Deed for RoleReorder {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, role_ids } = self;
        let guild_id = actor.guild_id();
        let roles = store::roles::of_guild(tx, guild_id).await?;
        self.check(&roles)?;
        if movable(&roles).map(|role| &role.role_id).eq(role_ids) {
            return Ok(Done::nothing(()));
        }
        let owner = roles
            .iter()
            .filter(|(kind, _)| *kind == RoleKind::WorkspaceOwner)
            .map(|(_, role)| role.role_id);
        let order: Vec<RoleId> = owner.chain(role_ids.iter().copied()).collect();
        for (position, role_id) in (1..).zip(order.into_iter().rev()) {
            store::roles::place(tx, guild_id, role_id, position).await?;
        }
        let roles = store::roles::of_guild(tx, guild_id).await?;
        let event = reordered(actor, &roles, state.host.clock.now_unix())?;
        Ok(Done {
            output: (),
            events: vec![event],
            facts: roles.iter().map(|(k, r)| Fact::of_role(*k, r)).collect(),
            entry: Some(actor.entry(None, Some(json!({ "role_ids": role_ids })))),
        })
    }
}

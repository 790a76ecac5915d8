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
    domain::roster::Fact,
    events::{self, WORKSPACE_ROLE_DELETE},
    state::State,
    store,
};

/// Deletes a role of the guild's own making; whoever held it holds it no more. What they stand as stays, as such a role stands for none.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn role_delete(
    state: &Arc<State>,
    actor: Actor,
    role_id: RoleId,
) -> Result<(), ApiError> {
    carry_out(state, RoleDelete { actor, role_id }).await
}

struct RoleDelete {
    actor: Actor,
    role_id: RoleId,
}

impl Deed for RoleDelete {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, role_id } = self;
        let guild_id = actor.guild_id();
        if actor.over_role(*role_id)?.kind.is_everywhere() {
            return Err(ApiError::forbidden("every guild has this role"));
        }
        let found = store::roles::find(tx, guild_id, *role_id).await?;
        let (_, role) = found.ok_or_else(ApiError::not_found)?;
        let default = actor.guild().roster().default_join_role();
        if default == Some(*role_id) {
            store::guilds::set_default_join_role(tx, guild_id, None).await?;
        }
        store::roles::delete(tx, guild_id, *role_id).await?;
        let event = actor.event(
            WORKSPACE_ROLE_DELETE,
            &events::WorkspaceRoleDelete {
                guild_id,
                role_id: *role_id,
                deleted_at_unix: state.host.clock.now_unix(),
                actor_user_id: actor.user_id(),
            },
        )?;
        let details = json!({ "role_id": role_id, "name": role.name });
        Ok(Done {
            output: (),
            events: vec![event.with_effect(revises_sight(actor.guild()))],
            facts: vec![Fact::RoleGone(*role_id)],
            entry: Some(actor.entry(None, Some(details))),
        })
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, RoleId},
};
use serde_json::json;

use super::deed::{Deed, Done, carry_out};
use crate::{access::Actor, domain::roster::Fact, state::State, store};

/// Says which role who joins is given; none with `None`.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn role_default(
    state: &Arc<State>,
    actor: Actor,
    role_id: Option<RoleId>,
) -> Result<(), ApiError> {
    carry_out(state, RoleDefault { actor, role_id }).await
}

struct RoleDefault {
    actor: Actor,
    role_id: Option<RoleId>,
}

impl RoleDefault {
    /// Naming the role is giving it to whoever comes.
    fn check(&self) -> Result<(), ApiError> {
        let member = self.actor.now()?;
        let was = self.actor.guild().roster().default_join_role();
        // To give whoever comes another one is to take this one from them.
        if let Some(was) = was {
            self.actor.over_role(was)?;
        }
        let Some(role_id) = self.role_id else {
            return Ok(());
        };
        let role = self.actor.over_role(role_id)?;
        if role.kind.is_system() {
            return Err(ApiError::invalid(
                "role_id",
                "must not be @everyone or workspace_owner",
            ));
        }
        member.check_grant(role.permissions)
    }
}

impl Deed for RoleDefault {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, _: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, role_id } = self;
        self.check()?;
        if actor.guild().roster().default_join_role() == *role_id {
            return Ok(Done::nothing(()));
        }
        store::guilds::set_default_join_role(tx, actor.guild_id(), *role_id).await?;
        Ok(Done {
            facts: vec![Fact::DefaultJoinRole(*role_id)],
            entry: Some(actor.entry(None, Some(json!({ "role_id": role_id })))),
            ..Done::nothing(())
        })
    }
}

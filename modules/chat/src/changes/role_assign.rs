use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, RoleId, UserId},
};
use serde_json::json;

use super::{
    deed::{Deed, Done, carry_out},
    reassign::{Reassignment, check_not_last_owner, reassign},
};
use crate::{access::Actor, domain::role::RoleKind, state::State};

/// Gives a member a role; nothing happens where they have it.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn role_assign(
    state: &Arc<State>,
    actor: Actor,
    role_id: RoleId,
    user_id: UserId,
) -> Result<(), ApiError> {
    let deed = RoleAssign {
        actor,
        role_id,
        user_id,
        gives: true,
    };
    carry_out(state, deed).await
}

/// Takes a role from a member; nothing happens where they do not have it.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn role_unassign(
    state: &Arc<State>,
    actor: Actor,
    role_id: RoleId,
    user_id: UserId,
) -> Result<(), ApiError> {
    let deed = RoleAssign {
        actor,
        role_id,
        user_id,
        gives: false,
    };
    carry_out(state, deed).await
}

struct RoleAssign {
    actor: Actor,
    role_id: RoleId,
    user_id: UserId,
    /// Or takes.
    gives: bool,
}

impl RoleAssign {
    fn reassignment(&self) -> Result<Reassignment, ApiError> {
        let actor = &self.actor;
        let target = actor.over_member_or_self(self.user_id)?;
        let role = actor.over_role(self.role_id)?;
        if role.kind == RoleKind::Everyone {
            return Err(ApiError::forbidden("everyone holds this role"));
        }
        let this = vec![self.role_id];
        if self.gives {
            actor.now()?.check_grant(role.permissions)?;
            return Ok(Reassignment {
                give: this,
                take: Vec::new(),
            });
        }
        let roster = actor.guild().roster();
        let holds = roster.role_ids(target).contains(&self.role_id);
        if holds && role.kind == RoleKind::WorkspaceOwner {
            check_not_last_owner(roster.owners())?;
        }
        Ok(Reassignment {
            give: Vec::new(),
            take: this,
        })
    }
}

impl Deed for RoleAssign {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let change = self.reassignment()?;
        let now = state.host.clock.now_unix();
        let (events, facts) = reassign(&self.actor, tx, self.user_id, change, now).await?;
        if events.is_empty() {
            return Ok(Done::nothing(()));
        }
        let details = json!({ "role_id": self.role_id });
        Ok(Done {
            output: (),
            events,
            facts,
            entry: Some(self.actor.entry(Some(self.user_id), Some(details))),
        })
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, UserId},
};
use serde_json::json;

use super::{
    deed::{Deed, Done, carry_out},
    reassign::{Reassignment, check_not_last_owner, reassign},
};
use crate::{
    access::Actor,
    domain::role::{RoleKind, Standing},
    state::State,
};

/// Lets a member stand as owner, moderator or member: gives and takes the roles that stand for it.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn member_update(
    state: &Arc<State>,
    actor: Actor,
    user_id: UserId,
    standing: Standing,
) -> Result<(), ApiError> {
    let deed = MemberUpdate {
        actor,
        user_id,
        standing,
    };
    carry_out(state, deed).await
}

struct MemberUpdate {
    actor: Actor,
    user_id: UserId,
    standing: Standing,
}

impl MemberUpdate {
    /// What it takes to make the member stand so: to hold the role that stands for it, and none that stands for more. Roles of the guild's
    /// own making are left alone.
    fn reassignment(&self) -> Result<Reassignment, ApiError> {
        let actor = &self.actor;
        let target = actor.over_member_or_self(self.user_id)?;
        let (change, owners) = {
            let roster = actor.guild().roster();
            let held = roster.role_ids(target);
            let mut change = Reassignment::default();
            for standing in [Standing::Member, Standing::Moderator, Standing::Owner] {
                let role = roster.standing_role(standing.role());
                let (id, _) = role.ok_or_else(ApiError::not_found)?;
                let holds = held.contains(&id);
                if standing == self.standing && !holds {
                    change.give.push(id);
                }
                if standing > self.standing && holds {
                    change.take.push(id);
                }
            }
            (change, roster.owners())
        };
        for id in &change.give {
            let role = actor.over_role(*id)?;
            actor.now()?.check_grant(role.permissions)?;
        }
        for id in &change.take {
            if actor.over_role(*id)?.kind == RoleKind::WorkspaceOwner {
                check_not_last_owner(owners)?;
            }
        }
        Ok(change)
    }
}

impl Deed for MemberUpdate {
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
        let details = json!({ "role": self.standing });
        Ok(Done {
            output: (),
            events,
            facts,
            entry: Some(self.actor.entry(Some(self.user_id), Some(details))),
        })
    }
}

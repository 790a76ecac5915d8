use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, UserId},
};

use super::{
    deed::{Deed, Done, carry_out},
    reassign::{Reassignment, reassign},
};
use crate::{access::Actor, domain::role::RoleKind, state::State};

/// Makes another member the owner in the caller's place; the caller holds the role `member` from then on.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn guild_transfer(
    state: &Arc<State>,
    actor: Actor,
    heir: UserId,
) -> Result<(), ApiError> {
    if heir == actor.user_id() {
        return Err(ApiError::invalid("user_id", "must be somebody else"));
    }
    carry_out(state, GuildTransfer { actor, heir }).await
}

struct GuildTransfer {
    actor: Actor,
    heir: UserId,
}

impl Deed for GuildTransfer {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, heir } = self;
        actor.now()?;
        let guild = actor.guild();
        guild.member(*heir).ok_or_else(ApiError::not_found)?;
        let role = |kind| {
            let role = guild.roster().standing_role(kind);
            role.map(|(id, _)| id).ok_or_else(ApiError::not_found)
        };
        let owner = role(RoleKind::WorkspaceOwner)?;
        let member = role(RoleKind::Member)?;
        let now = state.host.clock.now_unix();
        // First the new owner, then the old one: whoever listens never sees the guild without.
        let give = Reassignment {
            give: vec![owner],
            take: Vec::new(),
        };
        let (mut events, mut facts) = reassign(actor, tx, *heir, give, now).await?;
        let take = Reassignment {
            give: vec![member],
            take: vec![owner],
        };
        let (more_events, more_facts) = reassign(actor, tx, actor.user_id(), take, now).await?;
        events.extend(more_events);
        facts.extend(more_facts);
        Ok(Done {
            output: (),
            events,
            facts,
            entry: Some(actor.entry(Some(*heir), None)),
        })
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, UserId},
};

use super::deed::{Deed, Done, carry_out};
use crate::{
    access::Actor,
    domain::roster::Fact,
    events::{self, RemovalReason, WORKSPACE_MEMBER_REMOVE},
    state::State,
    store,
};

/// Takes a member out of the guild; they may come back.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn member_kick(
    state: &Arc<State>,
    actor: Actor,
    user_id: UserId,
) -> Result<(), ApiError> {
    carry_out(state, MemberKick { actor, user_id }).await
}

struct MemberKick {
    actor: Actor,
    user_id: UserId,
}

impl Deed for MemberKick {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, user_id } = self;
        actor.over_member(*user_id)?;
        let guild_id = actor.guild_id();
        if !store::members::delete(tx, guild_id, *user_id).await? {
            return Err(ApiError::not_found());
        }
        let event = actor.event(
            WORKSPACE_MEMBER_REMOVE,
            &events::WorkspaceMemberRemove {
                guild_id,
                user_id: *user_id,
                reason: RemovalReason::Kick,
                removed_at_unix: state.host.clock.now_unix(),
                actor_user_id: actor.user_id(),
            },
        )?;
        Ok(Done {
            output: (),
            events: vec![event.expelling(*user_id)],
            facts: vec![Fact::MemberGone(*user_id)],
            entry: Some(actor.entry(Some(*user_id), None)),
        })
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, UserId},
};

use super::deed::{Deed, Done, carry_out};
use crate::{access::Actor, state::State, store};

/// Lifts a ban.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn member_unban(
    state: &Arc<State>,
    actor: Actor,
    user_id: UserId,
) -> Result<(), ApiError> {
    carry_out(state, MemberUnban { actor, user_id }).await
}

struct MemberUnban {
    actor: Actor,
    user_id: UserId,
}

impl Deed for MemberUnban {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, _: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, user_id } = self;
        actor.now()?;
        if !store::bans::lift(tx, actor.guild_id(), *user_id).await? {
            return Err(ApiError::not_found());
        }
        Ok(Done {
            entry: Some(actor.entry(Some(*user_id), None)),
            ..Done::nothing(())
        })
    }
}

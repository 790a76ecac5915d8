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

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, user_id } = self;
        let (guild_id, now) = (actor.guild_id(), state.host.clock.now_unix());
        let banned_by = store::bans::banned_by(tx, guild_id, *user_id, now).await?;
        actor.over_ban_by(banned_by.ok_or_else(ApiError::not_found)?)?;
        store::bans::lift(tx, guild_id, *user_id).await?;
        Ok(Done {
            entry: Some(actor.entry(Some(*user_id), None)),
            ..Done::nothing(())
        })
    }
}

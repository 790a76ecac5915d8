use std::sync::Arc;

use filament_kernel::{ApiError, db::WriteTx, id::GuildId, log::Effect};
use serde_json::json;

use super::deed::{Deed, Done, carry_out};
use crate::{
    access::Actor,
    domain::roster::Fact,
    events::{self, WORKSPACE_DELETE},
    state::State,
    store,
};

/// Deletes a guild with all that is in it. It is gone for everybody when this answers; its rows follow, see [`crate::housekeeping`].
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn guild_delete(state: &Arc<State>, actor: Actor) -> Result<(), ApiError> {
    carry_out(state, GuildDelete { actor }).await
}

struct GuildDelete {
    actor: Actor,
}

impl Deed for GuildDelete {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let actor = &self.actor;
        let guild_id = actor.guild_id();
        actor.now()?;
        let guild = store::guilds::find(tx, guild_id).await?;
        let guild = guild.ok_or_else(ApiError::not_found)?;
        let channels = store::channels::of_guild(tx, guild_id).await?;
        let channels: Vec<_> = channels.iter().map(|(one, _)| one.channel_id).collect();
        store::doomed::insert(tx, &channels).await?;
        let now = state.host.clock.now_unix();
        if let Some(creator) = store::guilds::delete(tx, guild_id, now).await? {
            store::guilds::uncount_creation(tx, creator).await?;
        }
        let event = actor.event(
            WORKSPACE_DELETE,
            &events::WorkspaceDelete {
                guild_id,
                deleted_at_unix: now,
                actor_user_id: actor.user_id(),
            },
        )?;
        Ok(Done {
            output: (),
            events: vec![event.with_effect(Effect {
                ends_stream: true,
                ..Effect::default()
            })],
            facts: vec![Fact::GuildGone],
            entry: Some(actor.entry(None, Some(json!({ "name": guild.name })))),
        })
    }
}

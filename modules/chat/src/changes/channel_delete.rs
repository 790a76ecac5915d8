use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{ChannelId, GuildId},
    log::Effect,
};
use serde_json::json;

use super::{
    deed::{Deed, Done, carry_out},
    effects::{heard_by_viewers_old_and_new, revises_sight},
};
use crate::{
    access::Actor,
    domain::roster::Fact,
    events::{self, CHANNEL_DELETE},
    state::State,
    store,
};

/// Deletes a channel. Its row is gone when this answers; its messages follow, see [`crate::housekeeping`].
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn channel_delete(
    state: &Arc<State>,
    actor: Actor,
    channel_id: ChannelId,
) -> Result<(), ApiError> {
    carry_out(state, ChannelDelete { actor, channel_id }).await
}

struct ChannelDelete {
    actor: Actor,
    channel_id: ChannelId,
}

impl Deed for ChannelDelete {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, channel_id } = self;
        let channel_id = *channel_id;
        actor.now()?;
        actor.check_sees(channel_id)?;
        let (channel, _) = actor.channel(channel_id)?;
        let guild_id = actor.guild_id();
        store::channels::delete(tx, guild_id, channel_id).await?;
        store::doomed::insert(tx, &[channel_id]).await?;
        let event = actor.event(
            CHANNEL_DELETE,
            &events::ChannelDelete {
                guild_id,
                channel_id,
                deleted_at_unix: state.host.clock.now_unix(),
                actor_user_id: actor.user_id(),
            },
        )?;
        let was = actor.overrides(channel_id)?;
        let effect = Effect {
            seen_by: revises_sight(actor.guild()).seen_by,
            ..heard_by_viewers_old_and_new(actor.guild(), channel_id, was)
        };
        let details = json!({ "channel_id": channel_id, "name": channel.name });
        Ok(Done {
            output: (),
            events: vec![event.with_effect(effect)],
            facts: vec![Fact::ChannelGone(channel_id)],
            entry: Some(actor.entry(None, Some(details))),
        })
    }
}

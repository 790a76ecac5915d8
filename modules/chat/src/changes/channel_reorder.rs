use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{ChannelId, GuildId},
};
use serde_json::json;

use super::deed::{Deed, Done, carry_out};
use crate::{
    access::Actor,
    domain::roster::Fact,
    events::{self, CHANNEL_REORDER},
    state::State,
    store,
};

/// Puts the channels that the caller sees into another order. Those that they do not see stay where they stand.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn channel_reorder(
    state: &Arc<State>,
    actor: Actor,
    channel_ids: Vec<ChannelId>,
) -> Result<(), ApiError> {
    carry_out(state, ChannelReorder { actor, channel_ids }).await
}

struct ChannelReorder {
    actor: Actor,
    channel_ids: Vec<ChannelId>,
}

impl ChannelReorder {
    /// All channels in their new order.
    fn order(&self) -> Result<Vec<ChannelId>, ApiError> {
        self.actor.now()?;
        let roster = self.actor.guild().roster();
        let seen = roster.channels_of(self.actor.user_id());
        let mut known: Vec<ChannelId> = seen.iter().map(|channel| channel.channel_id).collect();
        let mut asked = self.channel_ids.clone();
        known.sort_unstable();
        asked.sort_unstable();
        if known != asked {
            return Err(ApiError::invalid(
                "channel_ids",
                "must name every channel that you see once",
            ));
        }
        let mut moved = self.channel_ids.iter();
        let stands = |id: &ChannelId| known.binary_search(id).is_err();
        let order = roster.channel_ids().into_iter().filter_map(|id| {
            if stands(&id) {
                Some(id)
            } else {
                moved.next().copied()
            }
        });
        Ok(order.collect())
    }
}

impl Deed for ChannelReorder {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, channel_ids } = self;
        let guild_id = actor.guild_id();
        let mut facts = Vec::new();
        for (position, channel_id) in (0..).zip(self.order()?) {
            let (channel, was) = actor.channel(channel_id)?;
            if was != position {
                store::channels::place(tx, guild_id, channel_id, position).await?;
                facts.push(Fact::Channel { channel, position });
            }
        }
        if facts.is_empty() {
            return Ok(Done::nothing(()));
        }
        let everybodys = {
            let roster = actor.guild().roster();
            let seen = |id: &ChannelId| roster.is_seen_by_everyone(*id);
            channel_ids.iter().copied().filter(seen).collect()
        };
        let event = actor.event(
            CHANNEL_REORDER,
            &events::ChannelReorder {
                guild_id,
                channel_ids: everybodys,
                updated_at_unix: state.host.clock.now_unix(),
                actor_user_id: actor.user_id(),
            },
        )?;
        Ok(Done {
            output: (),
            events: vec![event],
            facts,
            entry: Some(actor.entry(None, Some(json!({ "channel_ids": channel_ids })))),
        })
    }
}

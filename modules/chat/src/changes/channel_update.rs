use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{ChannelId, GuildId},
};
use serde_json::json;

use super::{
    channel_create::check_room,
    deed::{Deed, Done, carry_out},
    effects::heard_by_viewers,
};
use crate::{
    access::Actor,
    domain::{channel::Channel, roster::Fact},
    events::{self, CHANNEL_UPDATE, ChannelFields},
    state::State,
    store,
};

/// Gives a channel another name or topic.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn channel_update(
    state: &Arc<State>,
    actor: Actor,
    channel_id: ChannelId,
    fields: ChannelFields,
) -> Result<Channel, ApiError> {
    let deed = ChannelUpdate {
        actor,
        channel_id,
        fields,
    };
    carry_out(state, deed).await
}

struct ChannelUpdate {
    actor: Actor,
    channel_id: ChannelId,
    fields: ChannelFields,
}

impl Deed for ChannelUpdate {
    type Output = Channel;

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<Channel>, ApiError> {
        let Self {
            actor, channel_id, ..
        } = self;
        let channel_id = *channel_id;
        actor.now()?;
        actor.check_sees(channel_id)?;
        let (was, position) = actor.channel(channel_id)?;
        let fields = self.fields.clone();
        let channel = Channel {
            name: fields.name.clone().unwrap_or_else(|| was.name.clone()),
            topic: fields.topic.clone().unwrap_or_else(|| was.topic.clone()),
            ..was
        };
        if channel == was {
            return Ok(Done::nothing(channel));
        }
        check_room(actor, &channel)?;
        let guild_id = actor.guild_id();
        store::channels::update(tx, guild_id, &channel).await?;
        let event = actor.event(
            CHANNEL_UPDATE,
            &events::ChannelUpdate {
                guild_id,
                channel_id,
                updated_fields: fields,
                updated_at_unix: state.host.clock.now_unix(),
                actor_user_id: actor.user_id(),
            },
        )?;
        let details = json!({
            "channel_id": channel_id, "name": channel.name, "was": { "name": was.name },
        });
        Ok(Done {
            events: vec![event.with_effect(heard_by_viewers(actor.guild(), channel_id))],
            facts: vec![Fact::Channel {
                channel: channel.clone(),
                position,
            }],
            entry: Some(actor.entry(None, Some(details))),
            output: channel,
        })
    }
}

use std::sync::Arc;

use filament_kernel::{ApiError, ErrorCode, db::WriteTx, id::GuildId};
use serde_json::json;

use super::{
    deed::{Deed, Done, carry_out},
    effects::heard_by_viewers,
};
use crate::{
    access::Actor,
    domain::{
        channel::{Channel, ChannelKind},
        roster::Fact,
    },
    events::{self, CHANNEL_CREATE},
    state::State,
    store,
};

/// Makes a channel behind the others.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn channel_create(
    state: &Arc<State>,
    actor: Actor,
    name: String,
    kind: ChannelKind,
    topic: String,
) -> Result<Channel, ApiError> {
    let deed = ChannelCreate {
        actor,
        name,
        kind,
        topic,
    };
    carry_out(state, deed).await
}

struct ChannelCreate {
    actor: Actor,
    name: String,
    kind: ChannelKind,
    topic: String,
}

impl Deed for ChannelCreate {
    type Output = Channel;

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<Channel>, ApiError> {
        let actor = &self.actor;
        actor.now()?;
        let (channels, position) = {
            let roster = actor.guild().roster();
            (roster.channel_ids().len(), roster.next_channel_position())
        };
        let max = state.config.channels_per_guild_max;
        if channels >= max {
            return Err(ApiError::new(
                ErrorCode::QUOTA_EXCEEDED,
                format!("a guild has {max} channels at most"),
            ));
        }
        let guild_id = actor.guild_id();
        let channel = Channel {
            channel_id: state.host.ids.next(),
            name: self.name.clone(),
            kind: self.kind,
            topic: self.topic.clone(),
        };
        check_room(actor, &channel)?;
        let now = state.host.clock.now_unix();
        store::channels::insert(tx, guild_id, &channel, position, now).await?;
        let event = actor.event(
            CHANNEL_CREATE,
            &events::ChannelCreate {
                guild_id,
                channel: &channel,
                actor_user_id: actor.user_id(),
            },
        )?;
        let details = json!({ "channel_id": channel.channel_id, "name": channel.name });
        Ok(Done {
            events: vec![event.with_effect(heard_by_viewers(actor.guild(), channel.channel_id))],
            facts: vec![Fact::Channel {
                channel: channel.clone(),
                position,
            }],
            entry: Some(actor.entry(None, Some(details))),
            output: channel,
        })
    }
}

/// Lets a channel be as it is to be, unless the guild's channels would not fit into one answer any more.
pub(super) fn check_room(actor: &Actor, channel: &Channel) -> Result<(), ApiError> {
    if actor.guild().roster().has_room_for(channel) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::QUOTA_EXCEEDED,
        "the names and topics of this guild's channels take more than 64 KiB together",
    ))
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::UserId;

    use super::*;
    use crate::{access::ChannelAccess, domain::guild::Visibility, testing::World};

    #[tokio::test]
    async fn a_channel_is_seen_at_once_and_stands_last() {
        let world = World::new().await;
        let (owner, member): (UserId, UserId) = (world.user(), world.user());
        let guild = world.guild(owner, Visibility::Public).await;
        world.join(guild, member).await;
        let first = world.channel(guild, owner).await.channel_id();
        let second = world.channel(guild, owner).await.channel_id();
        let seen = ChannelAccess::of(&world.state, member, guild, second).await;
        assert!(seen.is_ok(), "seen at once");
        let loaded = world.state.guild(guild).await.expect("a guild");
        assert_eq!(loaded.roster().channel_ids(), [first, second]);
        let stored = store::channels::of_guild(world.state.host.db.read(), guild).await;
        let mut stored = stored.expect("reads");
        stored.sort_by_key(|(_, position)| *position);
        let positions: Vec<i64> = stored.iter().map(|(_, position)| *position).collect();
        assert_eq!(positions, [0, 1]);
    }
}

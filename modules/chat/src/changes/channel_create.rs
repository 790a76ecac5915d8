use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    log::{Applied, Change, NewEvent, Stream},
};

use crate::{
    access::Membership,
    domain::{
        channel::{Channel, ChannelKind},
        roster::Fact,
    },
    events::{self, CHANNEL_CREATE},
    state::State,
    store,
};

/// Makes a channel. For the owner, and for members with `manage_roles`.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn channel_create(
    state: &Arc<State>,
    membership: Membership,
    name: String,
    kind: ChannelKind,
) -> Result<Channel, ApiError> {
    let change = ChannelCreate {
        state: state.clone(),
        membership,
        name,
        kind,
    };
    change.allowed()?;
    state.host.log.commit(change).await?
}

struct ChannelCreate {
    state: Arc<State>,
    membership: Membership,
    name: String,
    kind: ChannelKind,
}

impl ChannelCreate {
    fn allowed(&self) -> Result<(), ApiError> {
        if self.membership.now()?.can_create_channels() {
            Ok(())
        } else {
            Err(ApiError::forbidden(
                "creating channels takes the permission manage_roles",
            ))
        }
    }

    async fn make(&self, tx: &WriteTx) -> Result<Applied<Result<Channel, ApiError>>, ApiError> {
        if let Err(refusal) = self.allowed() {
            return Ok(Applied::silent(Err(refusal)));
        }
        let host = &self.state.host;
        let guild_id = self.membership.guild().id;
        let channel = Channel {
            channel_id: host.ids.next(),
            name: self.name.clone(),
            kind: self.kind,
        };
        store::channels::insert(tx, guild_id, &channel, host.clock.now_unix()).await?;
        let event = NewEvent::new(
            Stream::Guild(guild_id),
            CHANNEL_CREATE,
            &events::ChannelCreate {
                guild_id,
                channel: &channel,
                actor_user_id: self.membership.user_id(),
            },
        )?;
        Ok(Applied {
            output: Ok(channel),
            events: vec![event],
        })
    }
}

#[async_trait::async_trait]
impl Change for ChannelCreate {
    type Output = Result<Channel, ApiError>;

    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<Self::Output>>, ApiError> {
        let mut applied = Vec::with_capacity(batch.len());
        for one in batch {
            applied.push(one.make(tx).await?);
        }
        Ok(applied)
    }

    fn committed(&self, output: &Self::Output) {
        if let Ok(channel) = output {
            let guild = self.membership.guild().id;
            self.state
                .directory
                .note(guild, Fact::Channel(channel.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::ChannelAccess, domain::guild::Visibility, testing::World};

    #[tokio::test]
    async fn the_owner_makes_channels_and_a_member_does_not() {
        let world = World::new().await;
        let (owner, member) = (world.user(), world.user());
        let guild = world.guild(owner, Visibility::Public).await;
        world.join(guild, member).await;
        let by = async |user| ChannelCreate {
            state: world.state.clone(),
            membership: Membership::of(&world.state, user, guild)
                .await
                .expect("a member"),
            name: "general".into(),
            kind: ChannelKind::Voice,
        };

        let (channel, events) = world.change(by(owner).await).await;
        let channel = channel.expect("is made");
        assert_eq!(events[0].name, "channel_create");
        let data: serde_json::Value = serde_json::from_str(&events[0].data).expect("JSON");
        assert_eq!(data["channel"]["kind"], "voice");
        let seen = ChannelAccess::of(&world.state, member, guild, channel.channel_id).await;
        assert!(seen.is_ok(), "seen at once");
        let db = world.state.host.db.read();
        assert_eq!(
            store::channels::of_guild(db, guild).await.ok(),
            Some(vec![channel])
        );

        let (refused, events) = world.change(by(member).await).await;
        assert_eq!(refused.err().map(|e| e.code().status), Some(403));
        assert!(events.is_empty());
    }
}

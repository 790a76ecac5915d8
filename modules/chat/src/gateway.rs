//! Gateway commands, and who hears what.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    gateway::{Audience, Socket},
    id::{ChannelId, GuildId, UserId},
    log::{Stream, Topic},
};
use serde::Deserialize;

use crate::{
    access::{ChannelAccess, PostAccess},
    changes,
    events::{
        self, PRESENCE_SYNC, PRESENCE_SYNC_MAX, PresenceSync, SUBSCRIBED, Status, Subscribed,
        publish_presence,
    },
    state::State,
    store,
};

pub(crate) const SUBSCRIBE: &str = "subscribe";
pub(crate) const MESSAGE_CREATE: &str = "message_create";

/// The payload of `subscribe`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subscribe {
    guild_id: GuildId,
    channel_id: ChannelId,
}

/// The socket follows a channel from now on. What the caller may not see is passed over in silence, as clients ask for what they
/// remember.
pub(crate) async fn subscribe(
    state: &State,
    socket: &dyn Socket,
    Subscribe {
        guild_id,
        channel_id,
    }: Subscribe,
) -> Result<(), ApiError> {
    let caller = socket.caller().user_id;
    let access = match ChannelAccess::of(state, caller, guild_id, channel_id).await {
        Ok(access) => access,
        Err(error) if error.code().status == 404 => return Ok(()),
        Err(error) => return Err(error),
    };
    let topic = Topic::channel(guild_id, channel_id);
    if !socket.follow(topic) {
        return Ok(());
    }
    // Sight that was lost before the socket followed was taken from it in vain. Now it follows: what is lost from here on is taken.
    if access.now().is_err() {
        socket.unfollow(topic);
        return Ok(());
    }
    let user_ids = state
        .host
        .gateway
        .followers(Stream::Guild(guild_id), PRESENCE_SYNC_MAX);
    socket.send(
        PRESENCE_SYNC,
        &events::text(&PresenceSync { guild_id, user_ids })?,
    );
    socket.send(
        SUBSCRIBED,
        &events::text(&Subscribed {
            guild_id,
            channel_id,
        })?,
    );
    Ok(())
}

/// The payload of `message_create`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageCreate {
    guild_id: GuildId,
    channel_id: ChannelId,
    content: String,
    attachment_ids: Option<Vec<String>>,
}

/// Writes a message. Its author sees it as everybody does: as the event.
pub(crate) async fn message_create(
    state: &Arc<State>,
    socket: &dyn Socket,
    command: MessageCreate,
) -> Result<(), ApiError> {
    let MessageCreate {
        guild_id,
        channel_id,
        content,
        attachment_ids,
    } = command;
    let (caller, client_ip) = (socket.caller().user_id, socket.client_ip());
    let access = PostAccess::of(state, caller, client_ip, guild_id, channel_id).await?;
    let attachment_ids = attachment_ids.unwrap_or_default();
    changes::message_create(state, access, content, &attachment_ids).await?;
    Ok(())
}

/// Every socket of a member hears of the whole guild, as far as it is not of one channel.
pub(crate) struct Guilds(pub(crate) Arc<State>);

#[async_trait::async_trait]
impl Audience for Guilds {
    async fn streams_of(&self, user: UserId) -> Result<Vec<Stream>, ApiError> {
        let guilds = store::guilds::ids_of_user(self.0.host.db.read(), user).await?;
        Ok(guilds.into_iter().map(Stream::Guild).collect())
    }

    fn presence_changed(&self, user: UserId, online: bool, streams: &[Stream]) {
        let status = if online {
            Status::Online
        } else {
            Status::Offline
        };
        for stream in streams {
            let Stream::Guild(guild) = stream else {
                continue;
            };
            if let Err(error) = publish_presence(&*self.0.host.gateway, *guild, user, status) {
                tracing::error!(%error, "presence could not be told");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use filament_kernel::{Caller, ports::TokenKeyId};

    use super::*;
    use crate::{domain::guild::Visibility, testing::World};

    struct Client {
        caller: Caller,
        follows: Mutex<Vec<Topic>>,
        got: Mutex<Vec<(&'static str, String)>>,
    }

    impl Client {
        fn of(world: &World, user_id: UserId) -> Self {
            Self {
                caller: Caller {
                    user_id,
                    session_id: world.state.host.ids.next(),
                    key: TokenKeyId::default(),
                },
                follows: Mutex::default(),
                got: Mutex::default(),
            }
        }
    }

    impl Socket for Client {
        fn caller(&self) -> &Caller {
            &self.caller
        }

        fn client_ip(&self) -> std::net::IpAddr {
            std::net::Ipv4Addr::LOCALHOST.into()
        }

        fn send(&self, name: &'static str, data: &str) {
            self.got
                .lock()
                .expect("unpoisoned")
                .push((name, data.to_string()));
        }

        fn follow(&self, topic: Topic) -> bool {
            self.follows.lock().expect("unpoisoned").push(topic);
            true
        }

        fn unfollow(&self, topic: Topic) {
            let mut follows = self.follows.lock().expect("unpoisoned");
            follows.retain(|known| *known != topic);
        }
    }

    #[tokio::test]
    async fn a_member_subscribes_and_a_stranger_is_passed_over_in_silence() {
        let world = World::new().await;
        let owner = world.user();
        let guild_id = world.guild(owner, Visibility::Public).await;
        let channel_id = world.channel(guild_id, owner).await.channel_id();

        let member = Client::of(&world, owner);
        let command = Subscribe {
            guild_id,
            channel_id,
        };
        subscribe(&world.state, &member, command)
            .await
            .expect("subscribes");
        let follows = member.follows.into_inner().expect("unpoisoned");
        assert_eq!(follows, [Topic::channel(guild_id, channel_id)]);
        let got = member.got.into_inner().expect("unpoisoned");
        assert_eq!(got[0].0, "presence_sync");
        assert_eq!(got[1].0, "subscribed");
        assert_eq!(
            got[1].1,
            format!(r#"{{"guild_id":"{guild_id}","channel_id":"{channel_id}"}}"#)
        );

        let stranger = Client::of(&world, world.user());
        for channel_id in [channel_id, world.state.host.ids.next()] {
            let command = Subscribe {
                guild_id,
                channel_id,
            };
            subscribe(&world.state, &stranger, command)
                .await
                .expect("is silent");
        }
        assert!(
            stranger
                .follows
                .into_inner()
                .expect("unpoisoned")
                .is_empty()
        );
        assert!(stranger.got.into_inner().expect("unpoisoned").is_empty());
    }

    #[tokio::test]
    async fn a_message_by_command_is_the_same_as_by_http_and_keeps_to_the_same_bounds() {
        let world = World::new().await;
        let owner = world.user();
        let guild_id = world.guild(owner, Visibility::Public).await;
        let channel_id = world.channel(guild_id, owner).await.channel_id();
        let say = async |user, content: &str| {
            let command = MessageCreate {
                guild_id,
                channel_id,
                content: content.to_string(),
                attachment_ids: None,
            };
            message_create(&world.state, &Client::of(&world, user), command)
                .await
                .map_err(|error| error.code().status)
        };
        assert_eq!(say(owner, "hello").await, Ok(()));
        assert_eq!(say(owner, "").await, Err(400));
        assert_eq!(say(owner, "a\0").await, Err(400));
        assert_eq!(say(world.user(), "hello").await, Err(404));
        let db = world.state.host.db.read();
        let stored = store::messages::history(db, channel_id, None, 9)
            .await
            .expect("reads");
        assert_eq!(stored.len(), 1);
    }

    #[tokio::test]
    async fn a_member_hears_of_their_guilds() {
        let world = World::new().await;
        let owner = world.user();
        let guild = world.guild(owner, Visibility::Private).await;
        let audience = Guilds(world.state.clone());
        assert_eq!(
            audience.streams_of(owner).await.ok(),
            Some(vec![Stream::Guild(guild)])
        );
        assert_eq!(audience.streams_of(world.user()).await.ok(), Some(vec![]));
    }
}

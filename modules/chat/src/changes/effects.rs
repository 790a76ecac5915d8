//! Who hears an event and who goes on seeing a channel, judged by the guild in memory as the event is delivered.

use std::sync::Arc;

use filament_kernel::{
    id::ChannelId,
    log::{Effect, Judge},
};

use crate::{
    directory::Guild,
    domain::{channel_override::Overrides, permission::Permission},
};

/// Some may not see a channel any more that they follow.
pub(super) fn revises_sight(guild: &Arc<Guild>) -> Effect {
    let guild = guild.clone();
    Effect {
        seen_by: Some(Judge::new(move |(user, channel)| {
            guild.sees(*user, *channel)
        })),
        ..Effect::default()
    }
}

/// Only for those who see a channel.
pub(super) fn heard_by_viewers(guild: &Arc<Guild>, channel: ChannelId) -> Effect {
    let guild = guild.clone();
    Effect {
        heard_by: Some(Judge::new(move |user| guild.sees(*user, channel))),
        ..Effect::default()
    }
}

/// Only for those who see a channel, or saw it as it was.
pub(super) fn heard_by_viewers_old_and_new(
    guild: &Arc<Guild>,
    channel: ChannelId,
    was: Overrides,
) -> Effect {
    let guild = guild.clone();
    Effect {
        heard_by: Some(Judge::new(move |user| {
            guild.sees(*user, channel) || guild.would_see(*user, &was)
        })),
        ..Effect::default()
    }
}

/// Only for those with a permission.
pub(super) fn heard_by_holders(guild: &Arc<Guild>, permission: Permission) -> Effect {
    let guild = guild.clone();
    Effect {
        heard_by: Some(Judge::new(move |user| {
            guild
                .member(*user)
                .is_some_and(|member| member.may(permission))
        })),
        ..Effect::default()
    }
}

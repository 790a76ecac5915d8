use std::sync::Arc;

use filament_kernel::{
    Caller,
    http::{JsonBytes, Origin},
    id::{ChannelId, GuildId, MessageId},
};
use poem_openapi::{OpenApi, param::Path};

use super::{Answer, Tag};
use crate::{
    access::{ChannelAccess, PostAccess},
    changes,
    domain::{emoji::Emoji, reaction::Reaction},
    state::State,
};

pub struct Reactions(pub(super) Arc<State>);

#[OpenApi]
impl Reactions {
    /// React to a message
    ///
    /// Whoever sees the channel may, but not from an address that the guild has banned. Answers the emoji as it stands then; reacting again changes nothing. Where a message has 64
    /// different emoji already (an operator may set fewer), another answers 409 `quota_exceeded`.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id/messages/:message_id/reactions/:emoji",
        method = "post",
        operation_id = "reaction_add",
        tag = "Tag::Messages"
    )]
    async fn reaction_add(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        message_id: Path<MessageId>,
        /// 1 to 32 UTF-16 code units without white space, percent-encoded.
        emoji: Path<Emoji>,
    ) -> Answer<Reaction> {
        let (user, guild, channel) = (caller.user_id, guild_id.0, channel_id.0);
        let access = PostAccess::of(&self.0, user, origin.client_ip, guild, channel).await?;
        let reaction = changes::reaction_add(&self.0, access, message_id.0, emoji.0).await?;
        JsonBytes::of(&reaction)
    }

    /// Take a reaction back
    ///
    /// One's own. Answers the emoji as it stands then, with a count of 0 where nobody has it set any more; where one had not
    /// reacted, nothing changes.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id/messages/:message_id/reactions/:emoji",
        method = "delete",
        operation_id = "reaction_remove",
        tag = "Tag::Messages"
    )]
    async fn reaction_remove(
        &self,
        caller: Caller,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        message_id: Path<MessageId>,
        /// 1 to 32 UTF-16 code units without white space, percent-encoded.
        emoji: Path<Emoji>,
    ) -> Answer<Reaction> {
        let access = ChannelAccess::of(&self.0, caller.user_id, guild_id.0, channel_id.0).await?;
        let reaction = changes::reaction_remove(&self.0, access, message_id.0, emoji.0).await?;
        JsonBytes::of(&reaction)
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::MessageId,
    log::{Applied, NewEvent, SingleChange, Stop, Topic},
};

use super::message_target::Target;
use crate::{
    access::PostAccess,
    domain::{
        markdown_tokens::MarkdownTokens,
        message::{Message, check_content},
    },
    events::{self, MESSAGE_UPDATE},
    state::State,
    store::{self, messages::Stored},
};

/// Gives a message another content; answers it as the caller sees it, with what it keeps: its time, its reactions.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn message_update(
    state: &Arc<State>,
    access: PostAccess,
    message_id: MessageId,
    content: String,
    request_id: Arc<str>,
) -> Result<Message, ApiError> {
    check_content(&content, state.config.message_max_chars)?;
    let change = MessageUpdate {
        tokens: MarkdownTokens::of(&content)?,
        content,
        target: Target {
            state: state.clone(),
            access: access.channel().clone(),
            message_id,
            request_id,
        },
        access,
    };
    state.host.log.commit(change).await?
}

struct MessageUpdate {
    access: PostAccess,
    target: Target,
    content: String,
    tokens: MarkdownTokens,
}

#[async_trait::async_trait]
impl SingleChange for MessageUpdate {
    type Output = Message;

    async fn make(&self, tx: &WriteTx) -> Result<Applied<Message>, Stop> {
        let Target {
            state,
            access,
            message_id,
            ..
        } = &self.target;
        let now = state.host.clock.now_unix();
        self.access.now(now).map_err(Stop::Refused)?;
        let message = self.target.judge(tx).await?;
        if let Some(seen) = self.access.sighting().unrecorded() {
            store::addresses::record(tx, seen, now).await?;
        }
        let (guild_id, channel_id) = (access.guild_id(), access.channel_id());
        store::messages::edit(tx, channel_id, *message_id, &self.content, now).await?;
        self.target.audit(tx, "message.update", &message).await?;
        let event = NewEvent::new(
            Topic::channel(guild_id, channel_id),
            MESSAGE_UPDATE,
            &events::MessageUpdate {
                guild_id,
                channel_id,
                message_id: *message_id,
                updated_fields: events::MessageFields {
                    content: &self.content,
                    markdown_tokens: &self.tokens,
                },
                updated_at_unix: now,
                actor_user_id: access.user_id(),
            },
        )?;
        let mut reactions = store::reactions::of_messages(
            tx,
            channel_id,
            std::slice::from_ref(&message),
            access.user_id(),
            state.config.reactors_listed_max,
        )
        .await?;
        let edited = Stored {
            content: self.content.clone(),
            ..message
        };
        let reactions = reactions.remove(message_id).unwrap_or_default();
        Ok(Applied {
            output: edited.seen(guild_id, channel_id, reactions)?,
            events: vec![event],
        })
    }

    fn made(&self, _: &Message) {
        let state = &self.target.state;
        let now = state.host.clock.now_unix();
        state.sightings.recorded(self.access.sighting(), now);
    }
}

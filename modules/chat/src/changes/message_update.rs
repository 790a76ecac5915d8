use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::MessageId,
    log::{Applied, Change, NewEvent, Topic},
};

use super::message_target::Target;
use crate::{
    access::ChannelAccess,
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
    access: ChannelAccess,
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
            access,
            message_id,
            request_id,
        },
    };
    state.host.log.commit(change).await?
}

struct MessageUpdate {
    target: Target,
    content: String,
    tokens: MarkdownTokens,
}

impl MessageUpdate {
    async fn make(&self, tx: &WriteTx) -> Result<Applied<Result<Message, ApiError>>, ApiError> {
        let message = match self.target.judge(tx).await? {
            Ok(message) => message,
            Err(refusal) => return Ok(Applied::silent(Err(refusal))),
        };
        let Target {
            state,
            access,
            message_id,
            ..
        } = &self.target;
        let (guild_id, channel_id) = (access.guild_id(), access.channel_id());
        let now = state.host.clock.now_unix();
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
            output: Ok(edited.seen(guild_id, channel_id, reactions)?),
            events: vec![event],
        })
    }
}

#[async_trait::async_trait]
impl Change for MessageUpdate {
    type Output = Result<Message, ApiError>;

    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<Self::Output>>, ApiError> {
        let mut applied = Vec::with_capacity(batch.len());
        for one in batch {
            applied.push(one.make(tx).await?);
        }
        Ok(applied)
    }
}

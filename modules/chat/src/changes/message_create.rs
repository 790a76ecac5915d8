use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    log::{Applied, Change, NewEvent, Topic},
};

use crate::{
    access::PostAccess,
    domain::{
        markdown_tokens::MarkdownTokens,
        message::{Message, check_content},
    },
    events::MESSAGE_CREATE,
    state::State,
    store,
};

/// Writes a message; answers its JSON text.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn message_create(
    state: &Arc<State>,
    access: PostAccess,
    content: String,
    attachment_ids: &[String],
) -> Result<Arc<str>, ApiError> {
    check_content(&content, state.config.message_max_chars)?;
    if !attachment_ids.is_empty() {
        return Err(ApiError::unavailable("attachments are off"));
    }
    let change = MessageCreate {
        tokens: MarkdownTokens::of(&content)?,
        state: state.clone(),
        access,
        content,
    };
    state.host.log.commit(change).await?
}

/// The hot path. What can be done before is done before: inside the transaction of all who write at the same time there is left to
/// take ids in the order of commits, to write each message's text once, and one statement for all rows.
struct MessageCreate {
    state: Arc<State>,
    access: PostAccess,
    content: String,
    tokens: MarkdownTokens,
}

impl MessageCreate {
    fn message(&self) -> Message {
        let host = &self.state.host;
        Message {
            message_id: host.ids.next(),
            guild_id: self.access.channel().guild_id(),
            channel_id: self.access.channel().channel_id(),
            author_id: self.access.channel().user_id(),
            content: self.content.clone(),
            markdown_tokens: self.tokens.clone(),
            attachments: Vec::new(),
            reactions: Vec::new(),
            created_at_unix: host.clock.now_unix(),
        }
    }
}

#[async_trait::async_trait]
impl Change for MessageCreate {
    type Output = Result<Arc<str>, ApiError>;

    const BATCH: usize = 128;

    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<Self::Output>>, ApiError> {
        let mut applied = Vec::with_capacity(batch.len());
        let mut messages = Vec::with_capacity(batch.len());
        for one in batch {
            let now = one.state.host.clock.now_unix();
            if let Err(refusal) = one.access.now(now) {
                applied.push(Applied::silent(Err(refusal)));
                continue;
            }
            if let Some(seen) = one.access.sighting().unrecorded() {
                store::addresses::record(tx, seen, now).await?;
            }
            let message = one.message();
            let text = message.to_text()?;
            let topic = Topic::channel(message.guild_id, message.channel_id);
            applied.push(Applied {
                output: Ok(text.clone()),
                events: vec![NewEvent::from_text(topic, MESSAGE_CREATE, text)],
            });
            messages.push(message);
        }
        store::messages::insert(tx, messages).await?;
        Ok(applied)
    }

    fn committed(&self, output: &Self::Output) {
        if output.is_ok() {
            self.state.messages_total.increment(1);
            let now = self.state.host.clock.now_unix();
            self.state.sightings.recorded(self.access.sighting(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::guild::Visibility, testing::World};

    #[tokio::test]
    async fn a_batch_is_stored_in_the_order_of_its_ids_and_told_in_the_same_words() {
        let world = World::new().await;
        let author = world.user();
        let guild = world.guild(author, Visibility::Private).await;
        let channel = world.channel(guild, author).await.channel_id();
        let access = world.post_access(guild, author, channel).await;
        let batch: Vec<MessageCreate> = (0..100)
            .map(|n| MessageCreate {
                state: world.state.clone(),
                access: access.clone(),
                content: format!("message *{n}*"),
                tokens: MarkdownTokens::of(&format!("message *{n}*")).expect("tokens"),
            })
            .collect();

        let (outputs, events) = world.batch(batch).await;
        for (output, event) in outputs.iter().zip(&events) {
            assert_eq!(output.as_deref().ok(), Some(&*event.data));
            assert_eq!(event.topic, Topic::channel(guild, channel));
        }

        let db = world.state.host.db.read();
        let newest = store::messages::history(db, channel, None, 3)
            .await
            .expect("reads");
        let contents: Vec<&str> = newest.iter().map(|m| m.content.as_str()).collect();
        assert_eq!(contents, ["message *99*", "message *98*", "message *97*"]);
        let older = store::messages::history(db, channel, Some(newest[2].message_id), 100)
            .await
            .expect("reads");
        assert_eq!(older.len(), 97);
        assert_eq!(older[0].content, "message *96*");
        let told: serde_json::Value = serde_json::from_str(&events[99].data).expect("JSON");
        assert_eq!(told["message_id"], newest[0].message_id.to_string());
    }
}

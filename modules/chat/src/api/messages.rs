use std::sync::Arc;

use bytes::Bytes;
use filament_kernel::{
    ApiError, Caller,
    http::{JsonBytes, Valid},
    id::{ChannelId, GuildId, MessageId},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;
use validator::Validate;

use super::{Answer, Tag};
use crate::{
    access::ChannelAccess,
    changes,
    domain::{markdown_tokens::MarkdownTokens, message::Message},
    page::{self, Page},
    state::State,
    store::messages::{Stored, history},
};

pub struct Messages(pub(super) Arc<State>);

/// What is to be said.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct MessageCreate {
    /// 1 to 2000 UTF-16 code units of Markdown.
    content: String,
    /// Attachments of the caller in this channel that are to hang on the message.
    #[oai(validator(max_items = 5))]
    attachment_ids: Option<Vec<String>>,
}

/// A page of a channel's history, newest first.
#[derive(Debug, Object, Serialize)]
struct MessagePage {
    messages: Vec<Message>,
    /// The `before` of the next page; null on the last.
    next_before: Option<MessageId>,
}

const HISTORY_DEFAULT: u64 = 20;

#[OpenApi]
impl Messages {
    /// Write a message
    ///
    /// Answered when the message is durable; everybody who follows the channel gets it as `message_create`.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id/messages",
        method = "post",
        operation_id = "message_create",
        tag = "Tag::Messages"
    )]
    async fn message_create(
        &self,
        caller: Caller,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        body: Valid<MessageCreate>,
    ) -> Answer<Message> {
        let access = ChannelAccess::of(&self.0, caller.user_id, guild_id.0, channel_id.0).await?;
        let Valid(MessageCreate {
            content,
            attachment_ids,
        }) = body;
        let attachment_ids = attachment_ids.unwrap_or_default();
        let text = changes::message_create(&self.0, access, content, &attachment_ids).await?;
        Ok(JsonBytes::from_text(Bytes::from_owner(SharedText(text))))
    }

    /// Read a channel's history
    ///
    /// Newest first. A page that would be larger than 64 KiB is cut short; `next_before` leads on from where it ends.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id/messages",
        method = "get",
        operation_id = "message_list",
        tag = "Tag::Messages"
    )]
    async fn message_list(
        &self,
        caller: Caller,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        /// How many at most: 1 to 100, 20 if not given.
        limit: Query<Option<u64>>,
        /// Only messages older than this one.
        before: Query<Option<MessageId>>,
    ) -> Answer<MessagePage> {
        let max = self.0.config.history_page_max.into();
        let limit = page::limit(limit.0, HISTORY_DEFAULT, max)?;
        let access = ChannelAccess::of(&self.0, caller.user_id, guild_id.0, channel_id.0).await?;
        let db = self.0.host.db.read();
        let mut rows = history(db, access.channel_id(), before.0, limit + 1).await?;
        let more = page::trim(&mut rows, limit);
        page::write(MessagePage::of(&access, rows, more)?)
    }
}

impl MessagePage {
    fn of(access: &ChannelAccess, rows: Vec<Stored>, more: bool) -> Result<Self, ApiError> {
        let next_before = rows.last().filter(|_| more).map(|last| last.message_id);
        let messages = rows
            .into_iter()
            .map(|row| {
                Ok(Message {
                    message_id: row.message_id,
                    guild_id: access.guild_id(),
                    channel_id: access.channel_id(),
                    author_id: row.author_id,
                    markdown_tokens: MarkdownTokens::of(&row.content)?,
                    content: row.content,
                    attachments: Vec::new(),
                    reactions: Vec::new(),
                    created_at_unix: row.created_at,
                })
            })
            .collect::<Result<_, ApiError>>()?;
        Ok(Self {
            messages,
            next_before,
        })
    }
}

impl Page for MessagePage {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn cut(&mut self, entries: usize) {
        self.messages.truncate(entries);
        self.next_before = self.messages.last().map(|last| last.message_id);
    }
}

/// A message's text, shared with its event.
struct SharedText(Arc<str>);

impl AsRef<[u8]> for SharedText {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::Ids;
    use poem::IntoResponse;
    use poem_openapi::types::ToJSON;

    use super::*;
    use crate::{domain::guild::Visibility, testing::World};

    async fn page_of(content: &str) -> (MessagePage, Vec<MessageId>) {
        let world = World::new().await;
        let author = world.user();
        let guild = world.guild(author, Visibility::Private).await;
        let access = world.channel(guild, author).await;
        let ids = Ids::default();
        let mut rows: Vec<Stored> = (0..50)
            .map(|_| Stored {
                message_id: ids.next(),
                author_id: author,
                content: content.to_string(),
                created_at: 1_700_000_000,
            })
            .collect();
        rows.reverse();
        let all = rows.iter().map(|row| row.message_id).collect();
        (MessagePage::of(&access, rows, false).expect("a page"), all)
    }

    async fn written(page: MessagePage) -> (usize, serde_json::Value) {
        let answer = page::write(page).expect("writes").into_response();
        let bytes = answer.into_body().into_vec().await.expect("a body");
        (bytes.len(), serde_json::from_slice(&bytes).expect("JSON"))
    }

    #[tokio::test]
    async fn serde_and_the_documented_schema_write_the_same_page() {
        let (mut page, _) = page_of("*hi* \u{1F600}").await;
        assert_eq!(serde_json::to_value(&page).ok(), page.to_json());
        page.cut(3);
        assert_eq!(serde_json::to_value(&page).ok(), page.to_json());
    }

    #[tokio::test]
    async fn fifty_short_messages_are_one_page() {
        let (page, _) = page_of("hello there").await;
        let (_, answer) = written(page).await;
        assert_eq!(answer["messages"].as_array().map(Vec::len), Some(50));
        assert!(answer["next_before"].is_null());
    }

    #[tokio::test]
    async fn fifty_of_the_longest_messages_are_cut_to_64_kib_and_the_cursor_leads_on() {
        for content in [
            "\u{4e00}".repeat(2_000),
            "- ".repeat(1_000),
            "*a* ".repeat(500),
            "\u{1}".repeat(2_000),
            "a\n".repeat(1_000),
        ] {
            let (page, all) = page_of(&content).await;
            let (bytes, answer) = written(page).await;
            assert!(bytes <= 64 * 1024, "{bytes}");
            let kept = answer["messages"].as_array().map_or(0, Vec::len);
            assert!((1..50).contains(&kept), "{kept}");
            assert_eq!(answer["next_before"], all[kept - 1].to_string());
        }
    }
}

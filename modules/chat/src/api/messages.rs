use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use filament_kernel::{
    ApiError, Caller,
    http::{ClientIp, JsonBytes, NoContent, Origin, Valid},
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
    access::{ChannelAccess, PostAccess},
    changes,
    domain::{message::Message, reaction::Reaction},
    page::{self, Page},
    state::State,
    store::{
        messages::{Stored, history},
        reactions::of_messages,
    },
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

/// What a message is to say from now on.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct MessageUpdate {
    /// 1 to 2000 UTF-16 code units of Markdown.
    content: String,
}

/// A page of a channel's history, newest first.
#[derive(Debug, Object, Serialize)]
struct MessagePage {
    messages: Vec<Message>,
    /// The `before` of the next page; null on the last.
    #[oai(nullable)]
    next_before: Option<MessageId>,
}

const HISTORY_DEFAULT: u64 = 20;

/// No more reactions fit into an answer: each takes 95 bytes at least.
const REACTIONS_PER_PAGE: i64 = 64 * 1024 / 95;

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
        client_ip: ClientIp,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        body: Valid<MessageCreate>,
    ) -> Answer<Message> {
        let (user, address) = (caller.user_id, client_ip.0);
        let access = PostAccess::of(&self.0, user, address, guild_id.0, channel_id.0).await?;
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
        let more = page::trim(&mut rows, limit) | trim_reactions(&mut rows);
        let listed = self.0.config.reactors_listed_max;
        let channel = access.channel_id();
        let reactions = of_messages(db, channel, &rows, caller.user_id, listed).await?;
        page::write(MessagePage::of(&access, rows, reactions, more)?)
    }

    /// Edit a message
    ///
    /// For its author, and for members with `delete_message`; others get 403, as does who asks from an address that the guild has banned.
    /// Its time and its reactions stay. Everybody who follows the channel gets it as `message_update`.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id/messages/:message_id",
        method = "patch",
        operation_id = "message_update",
        tag = "Tag::Messages"
    )]
    async fn message_update(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        message_id: Path<MessageId>,
        body: Valid<MessageUpdate>,
    ) -> Answer<Message> {
        let (user, guild, channel) = (caller.user_id, guild_id.0, channel_id.0);
        let access = PostAccess::of(&self.0, user, origin.client_ip, guild, channel).await?;
        let Valid(MessageUpdate { content }) = body;
        let request = origin.request_id;
        let message =
            changes::message_update(&self.0, access, message_id.0, content, request).await?;
        JsonBytes::of(&message)
    }

    /// Delete a message
    ///
    /// For its author, and for members with `delete_message`; others get 403. Its reactions go with it. Everybody who follows the
    /// channel gets `message_delete`.
    #[oai(
        path = "/guilds/:guild_id/channels/:channel_id/messages/:message_id",
        method = "delete",
        operation_id = "message_delete",
        tag = "Tag::Messages"
    )]
    async fn message_delete(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        channel_id: Path<ChannelId>,
        message_id: Path<MessageId>,
    ) -> Result<NoContent, ApiError> {
        let access = ChannelAccess::of(&self.0, caller.user_id, guild_id.0, channel_id.0).await?;
        changes::message_delete(&self.0, access, message_id.0, origin.request_id).await?;
        Ok(NoContent)
    }
}

/// Takes off the messages from where on the reactions before are more than an answer holds, so that a page never reads more than it can
/// show. Says whether there were any.
fn trim_reactions(rows: &mut Vec<Stored>) -> bool {
    let mut left = REACTIONS_PER_PAGE;
    let fitting = rows.iter().take_while(|row| {
        left -= row.emoji;
        left >= 0
    });
    let fitting = fitting.count().max(1);
    page::trim(rows, fitting as u64)
}

impl MessagePage {
    fn of(
        access: &ChannelAccess,
        rows: Vec<Stored>,
        mut reactions: HashMap<MessageId, Vec<Reaction>>,
        more: bool,
    ) -> Result<Self, ApiError> {
        let next_before = rows.last().filter(|_| more).map(|last| last.message_id);
        let messages = rows
            .into_iter()
            .map(|row| {
                let reactions = reactions.remove(&row.message_id).unwrap_or_default();
                row.seen(access.guild_id(), access.channel_id(), reactions)
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
    use filament_kernel::id::{Ids, UserId};
    use poem::IntoResponse;
    use poem_openapi::types::ToJSON;

    use super::*;
    use crate::{
        domain::{emoji::Emoji, guild::Visibility, reaction::Tally},
        testing::World,
    };

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
                emoji: 0,
            })
            .collect();
        rows.reverse();
        let all = rows.iter().map(|row| row.message_id).collect();
        (
            MessagePage::of(&access, rows, HashMap::new(), false).expect("a page"),
            all,
        )
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

    /// A page of 50 messages, each with as many reactions as can be.
    async fn page_with_reactions(content: &str, emoji: i64) -> (usize, serde_json::Value) {
        let world = World::new().await;
        let author = world.user();
        let guild = world.guild(author, Visibility::Private).await;
        let access = world.channel(guild, author).await;
        let users: Vec<UserId> = (0..32).map(|_| world.user()).collect();
        let mut rows: Vec<Stored> = (0..50)
            .map(|_| Stored {
                message_id: world.state.host.ids.next(),
                author_id: author,
                content: content.to_string(),
                created_at: 1_700_000_000,
                emoji,
            })
            .collect();
        let more = trim_reactions(&mut rows);
        let reactions = rows.iter().map(|row| {
            let reactions = (0..emoji).map(|n| Tally {
                count: 1_000_000 + n.unsigned_abs(),
                first: users.clone(),
                ..Tally::default()
            });
            let seen = reactions.enumerate().map(|(n, tally)| {
                let emoji = Emoji::new(&format!("{n:02}{}", "\u{4e00}".repeat(30)));
                tally.seen(emoji.expect("an emoji"), false, 32)
            });
            (row.message_id, seen.collect())
        });
        let reactions = reactions.collect();
        written(MessagePage::of(&access, rows, reactions, more).expect("a page")).await
    }

    #[tokio::test]
    async fn the_largest_messages_with_the_most_reactions_fit_a_page() {
        for content in [
            "a".to_string(),
            "\u{4e00}".repeat(2_000),
            "\u{1}".repeat(2_000),
            "-\n+\n".repeat(180) + &"\"\\".repeat(640),
        ] {
            for emoji in [1, 7, 64] {
                let (bytes, answer) = page_with_reactions(&content, emoji).await;
                assert!(bytes <= 64 * 1024, "{bytes}");
                let messages = answer["messages"].as_array().expect("messages");
                let complete = |message: &serde_json::Value| {
                    message["reactions"].as_array().map(Vec::len) == usize::try_from(emoji).ok()
                };
                assert!(!messages.is_empty() && messages.iter().all(complete));
                assert!(answer["next_before"].is_string());
            }
        }
    }

    #[test]
    fn no_more_reactions_are_read_than_an_answer_could_show() {
        let ids = Ids::default();
        let row = |emoji| Stored {
            message_id: ids.next(),
            author_id: ids.next(),
            content: "a".into(),
            created_at: 0,
            emoji,
        };
        let kept = |emoji: &[i64]| {
            let mut rows: Vec<Stored> = emoji.iter().map(|emoji| row(*emoji)).collect();
            let more = trim_reactions(&mut rows);
            (rows.len(), more)
        };
        assert_eq!(kept(&[]), (0, false));
        assert_eq!(kept(&[0; 100]), (100, false));
        assert_eq!(kept(&[64; 100]), (10, true));
        assert_eq!(kept(&[6; 100]), (100, false));

        let smallest = Tally {
            count: 1,
            first: vec![ids.next()],
            ..Tally::default()
        };
        let smallest = smallest.seen(Emoji::new("a").expect("an emoji"), true, 32);
        let with_comma = serde_json::to_string(&smallest).expect("JSON").len() + 1;
        assert_eq!(with_comma, 95);
    }
}

use filament_kernel::{
    ApiError,
    db::{WriteTx, insert_all},
    id::{ChannelId, GuildId, MessageId, UserId},
};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
    sea_query::Expr,
};

use super::reactions::{self, Key, any};
use crate::{
    domain::{
        markdown_tokens::MarkdownTokens,
        message::Message,
        reaction::{Reaction, Thread},
    },
    entity::message,
};

/// Stores new messages with as few statements as can be.
pub(crate) async fn insert(
    tx: &WriteTx,
    messages: impl IntoIterator<Item = Message>,
) -> Result<(), DbErr> {
    let rows = messages
        .into_iter()
        .map(|message| message::ActiveModel {
            channel_id: Set(message.channel_id),
            message_id: Set(message.message_id),
            author_id: Set(message.author_id),
            content: Set(message.content),
            created_at: Set(message.created_at_unix),
            edited_at: Set(None),
            emoji: NotSet,
            last_emoji_place: NotSet,
        })
        .collect();
    insert_all(tx, rows).await
}

/// What is read of a message; its guild and channel are known.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) message_id: MessageId,
    pub(crate) author_id: UserId,
    pub(crate) content: String,
    pub(crate) created_at: i64,
    /// How many distinct emoji are under it.
    pub(crate) emoji: i64,
}

/// The columns of [`Stored`], read by place and not by name: half the cost for a page.
type Row = (MessageId, UserId, String, i64, i64);

fn stored_of(channel: ChannelId) -> Select<message::Entity> {
    message::Entity::find()
        .select_only()
        .column(message::Column::MessageId)
        .column(message::Column::AuthorId)
        .column(message::Column::Content)
        .column(message::Column::CreatedAt)
        .column(message::Column::Emoji)
        .filter(message::Column::ChannelId.eq(channel))
}

impl Stored {
    /// The message as somebody sees it who sees these reactions.
    pub(crate) fn seen(
        self,
        guild_id: GuildId,
        channel_id: ChannelId,
        reactions: Vec<Reaction>,
    ) -> Result<Message, ApiError> {
        let message = Message {
            message_id: self.message_id,
            guild_id,
            channel_id,
            author_id: self.author_id,
            markdown_tokens: MarkdownTokens::of(&self.content)?,
            content: self.content,
            attachments: Vec::new(),
            reactions,
            created_at_unix: self.created_at,
        };
        message.fitting()
    }
}

impl From<Row> for Stored {
    fn from((message_id, author_id, content, created_at, emoji): Row) -> Self {
        Self {
            message_id,
            author_id,
            content,
            created_at,
            emoji,
        }
    }
}

/// Up to `limit` messages of a channel, newest first; with `before`, only those older than that one.
pub(crate) async fn history(
    db: &impl ConnectionTrait,
    channel: ChannelId,
    before: Option<MessageId>,
    limit: u64,
) -> Result<Vec<Stored>, DbErr> {
    let mut query = stored_of(channel);
    if let Some(before) = before {
        query = query.filter(message::Column::MessageId.lt(before));
    }
    let rows: Vec<Row> = query
        .order_by_desc(message::Column::MessageId)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows.into_iter().map(Stored::from).collect())
}

/// One message of a channel.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    channel: ChannelId,
    message: MessageId,
) -> Result<Option<Stored>, DbErr> {
    let row: Option<Row> = stored_of(channel)
        .filter(message::Column::MessageId.eq(message))
        .into_tuple()
        .one(db)
        .await?;
    Ok(row.map(Stored::from))
}

/// Gives a message another content.
pub(crate) async fn edit(
    tx: &WriteTx,
    channel: ChannelId,
    message: MessageId,
    content: &str,
    now: i64,
) -> Result<(), DbErr> {
    message::Entity::update_many()
        .col_expr(message::Column::Content, Expr::value(content))
        .col_expr(message::Column::EditedAt, Expr::value(now))
        .filter(is(channel, message))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes a message with its reactions.
pub(crate) async fn delete(
    tx: &WriteTx,
    channel: ChannelId,
    message: &Stored,
) -> Result<(), DbErr> {
    if message.emoji > 0 {
        reactions::remove_all(tx, (channel, message.message_id)).await?;
    }
    message::Entity::delete_many()
        .filter(is(channel, message.message_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// The messages of these that are there, without the emoji under them.
pub(super) async fn threads(tx: &WriteTx, keys: &[Key]) -> Result<Vec<(Key, Thread)>, DbErr> {
    let rows: Vec<(ChannelId, MessageId, i64, i64)> = message::Entity::find()
        .select_only()
        .column(message::Column::ChannelId)
        .column(message::Column::MessageId)
        .column(message::Column::Emoji)
        .column(message::Column::LastEmojiPlace)
        .filter(any(keys, |(channel, message)| is(*channel, *message)))
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(channel, message, emoji, last_place)| {
            let thread = Thread {
                emoji,
                last_place,
                ..Thread::default()
            };
            ((channel, message), thread)
        })
        .collect())
}

/// Notes how many distinct emoji are under a message.
pub(super) async fn set_emoji(
    tx: &WriteTx,
    (channel, message): Key,
    thread: &Thread,
) -> Result<(), DbErr> {
    message::Entity::update_many()
        .col_expr(message::Column::Emoji, Expr::value(thread.emoji))
        .col_expr(
            message::Column::LastEmojiPlace,
            Expr::value(thread.last_place),
        )
        .filter(is(channel, message))
        .exec(tx)
        .await?;
    Ok(())
}

fn is(channel: ChannelId, message: MessageId) -> Condition {
    Condition::all()
        .add(message::Column::ChannelId.eq(channel))
        .add(message::Column::MessageId.eq(message))
}

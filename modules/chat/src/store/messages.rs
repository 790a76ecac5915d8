use filament_kernel::{
    db::{WriteTx, insert_all},
    id::{ChannelId, MessageId, UserId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::{domain::message::Message, entity::message};

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
        })
        .collect();
    insert_all(tx, rows).await
}

/// What is read of a message; its channel is known.
pub(crate) struct Stored {
    pub(crate) message_id: MessageId,
    pub(crate) author_id: UserId,
    pub(crate) content: String,
    pub(crate) created_at: i64,
}

/// Up to `limit` messages of a channel, newest first; with `before`, only those older than that one.
pub(crate) async fn history(
    db: &impl ConnectionTrait,
    channel: ChannelId,
    before: Option<MessageId>,
    limit: u64,
) -> Result<Vec<Stored>, DbErr> {
    let mut query = message::Entity::find()
        .select_only()
        .column(message::Column::MessageId)
        .column(message::Column::AuthorId)
        .column(message::Column::Content)
        .column(message::Column::CreatedAt)
        .filter(message::Column::ChannelId.eq(channel));
    if let Some(before) = before {
        query = query.filter(message::Column::MessageId.lt(before));
    }
    // Read by place and not by name: half the cost for a page.
    let rows: Vec<(MessageId, UserId, String, i64)> = query
        .order_by_desc(message::Column::MessageId)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(message_id, author_id, content, created_at)| Stored {
            message_id,
            author_id,
            content,
            created_at,
        })
        .collect())
}

//! Channels that are deleted, while their messages are still being deleted: no foreign key binds those to their channel.

use filament_kernel::{
    db::{WriteTx, insert_all},
    id::{ChannelId, MessageId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use crate::entity::{doomed_channel, message, message_emoji, reaction};

/// The messages of these channels are to be deleted.
pub(crate) async fn insert(tx: &WriteTx, channels: &[ChannelId]) -> Result<(), DbErr> {
    let rows = channels.iter().map(|channel| doomed_channel::ActiveModel {
        channel_id: Set(*channel),
    });
    insert_all(tx, rows.collect()).await
}

/// One of the channels whose messages are to be deleted.
pub(crate) async fn first(db: &impl ConnectionTrait) -> Result<Option<ChannelId>, DbErr> {
    let row = doomed_channel::Entity::find()
        .order_by_asc(doomed_channel::Column::ChannelId)
        .one(db)
        .await?;
    Ok(row.map(|row| row.channel_id))
}

/// Deletes up to `limit` of the channel's messages with all that hangs on them. Answers whether there are more; after the last the
/// channel is not doomed any more.
pub(crate) async fn delete_some(
    tx: &WriteTx,
    channel: ChannelId,
    limit: u64,
) -> Result<bool, DbErr> {
    let beyond: Option<MessageId> = message::Entity::find()
        .select_only()
        .column(message::Column::MessageId)
        .filter(message::Column::ChannelId.eq(channel))
        .order_by_asc(message::Column::MessageId)
        .offset(limit)
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    let mut reactions =
        reaction::Entity::delete_many().filter(reaction::Column::ChannelId.eq(channel));
    let mut emoji =
        message_emoji::Entity::delete_many().filter(message_emoji::Column::ChannelId.eq(channel));
    let mut messages =
        message::Entity::delete_many().filter(message::Column::ChannelId.eq(channel));
    if let Some(beyond) = beyond {
        reactions = reactions.filter(reaction::Column::MessageId.lt(beyond));
        emoji = emoji.filter(message_emoji::Column::MessageId.lt(beyond));
        messages = messages.filter(message::Column::MessageId.lt(beyond));
    }
    reactions.exec(tx).await?;
    emoji.exec(tx).await?;
    messages.exec(tx).await?;
    if beyond.is_none() {
        doomed_channel::Entity::delete_by_id(channel)
            .exec(tx)
            .await?;
    }
    Ok(beyond.is_some())
}

use filament_kernel::{
    db::WriteTx,
    id::{ChannelId, GuildId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, Insert,
    QueryFilter, sea_query::Expr,
};

use crate::{domain::channel::Channel, entity::channel};

pub(crate) async fn insert(
    tx: &WriteTx,
    guild: GuildId,
    channel: &Channel,
    position: i64,
    now: i64,
) -> Result<(), DbErr> {
    let row = channel::ActiveModel {
        guild_id: Set(guild),
        channel_id: Set(channel.channel_id),
        name: Set(channel.name.clone()),
        kind: Set(channel.kind),
        created_at: Set(now),
        topic: Set(channel.topic.clone()),
        position: Set(position),
    };
    Insert::one(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Writes what may change of a channel, all but its position.
pub(crate) async fn update(tx: &WriteTx, guild: GuildId, channel: &Channel) -> Result<(), DbErr> {
    channel::Entity::update_many()
        .col_expr(channel::Column::Name, Expr::value(channel.name.clone()))
        .col_expr(channel::Column::Topic, Expr::value(channel.topic.clone()))
        .filter(is(guild, channel.channel_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Moves a channel.
pub(crate) async fn place(
    tx: &WriteTx,
    guild: GuildId,
    channel: ChannelId,
    position: i64,
) -> Result<(), DbErr> {
    channel::Entity::update_many()
        .col_expr(channel::Column::Position, Expr::value(position))
        .filter(is(guild, channel))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes a channel, and with it what it says about roles and members. Its messages are [`super::doomed`].
pub(crate) async fn delete(tx: &WriteTx, guild: GuildId, channel: ChannelId) -> Result<(), DbErr> {
    channel::Entity::delete_many()
        .filter(is(guild, channel))
        .exec(tx)
        .await?;
    Ok(())
}

/// The channels of a guild with their positions.
pub(crate) async fn of_guild(
    db: &impl ConnectionTrait,
    guild: GuildId,
) -> Result<Vec<(Channel, i64)>, DbErr> {
    let rows = channel::Entity::find()
        .filter(channel::Column::GuildId.eq(guild))
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let channel = Channel {
                channel_id: row.channel_id,
                name: row.name,
                kind: row.kind,
                topic: row.topic,
            };
            (channel, row.position)
        })
        .collect())
}

fn is(guild: GuildId, channel: ChannelId) -> Condition {
    Condition::all()
        .add(channel::Column::GuildId.eq(guild))
        .add(channel::Column::ChannelId.eq(channel))
}

use filament_kernel::{db::WriteTx, id::GuildId};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, Insert, QueryFilter,
};

use crate::{domain::channel::Channel, entity::channel};

pub(crate) async fn insert(
    tx: &WriteTx,
    guild: GuildId,
    channel: &Channel,
    now: i64,
) -> Result<(), DbErr> {
    let row = channel::ActiveModel {
        guild_id: Set(guild),
        channel_id: Set(channel.channel_id),
        name: Set(channel.name.clone()),
        kind: Set(channel.kind),
        created_at: Set(now),
    };
    Insert::one(row).exec_without_returning(tx).await?;
    Ok(())
}

pub(crate) async fn of_guild(
    db: &impl ConnectionTrait,
    guild: GuildId,
) -> Result<Vec<Channel>, DbErr> {
    let rows = channel::Entity::find()
        .filter(channel::Column::GuildId.eq(guild))
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Channel {
            channel_id: row.channel_id,
            name: row.name,
            kind: row.kind,
        })
        .collect())
}

use std::net::IpAddr;

use filament_kernel::{
    db::WriteTx,
    id::{GuildId, UserId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, DbErr, EntityTrait, Insert, QueryFilter, QueryOrder,
    QuerySelect, sea_query::OnConflict,
};

use crate::{entity::guild_address, sightings::Seen};

/// Records from where somebody acted.
pub(crate) async fn record(tx: &WriteTx, seen: Seen, now: i64) -> Result<(), DbErr> {
    let row = guild_address::ActiveModel {
        guild_id: Set(seen.guild_id),
        user_id: Set(seen.user_id),
        address: Set(seen.address.to_string()),
        seen_at: Set(now),
    };
    let known = OnConflict::columns([
        guild_address::Column::GuildId,
        guild_address::Column::UserId,
        guild_address::Column::Address,
    ])
    .update_column(guild_address::Column::SeenAt)
    .to_owned();
    Insert::one(row)
        .on_conflict(known)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Up to `limit` addresses of a user in a guild, the one seen last first.
pub(crate) async fn of_user(
    tx: &WriteTx,
    guild: GuildId,
    user: UserId,
    limit: u64,
) -> Result<Vec<IpAddr>, DbErr> {
    let rows: Vec<String> = guild_address::Entity::find()
        .select_only()
        .column(guild_address::Column::Address)
        .filter(guild_address::Column::GuildId.eq(guild))
        .filter(guild_address::Column::UserId.eq(user))
        .order_by_desc(guild_address::Column::SeenAt)
        .order_by_asc(guild_address::Column::Address)
        .limit(limit)
        .into_tuple()
        .all(tx)
        .await?;
    Ok(rows.iter().filter_map(|row| row.parse().ok()).collect())
}

/// Forgets what was not seen since `before`.
pub(crate) async fn forget(tx: &WriteTx, before: i64) -> Result<(), DbErr> {
    guild_address::Entity::delete_many()
        .filter(guild_address::Column::SeenAt.lt(before))
        .exec(tx)
        .await?;
    Ok(())
}

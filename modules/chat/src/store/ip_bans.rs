use std::net::IpAddr;

use filament_kernel::{
    db::WriteTx,
    id::{GuildId, IpBanId, UserId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, Insert,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};

use crate::{domain::ban::IpBan, entity::guild_ip_ban};

/// Bans an address that is not banned.
pub(crate) async fn insert(
    tx: &WriteTx,
    guild: GuildId,
    address: IpAddr,
    ban: &IpBan,
    banned_by: UserId,
) -> Result<(), DbErr> {
    let row = guild_ip_ban::ActiveModel {
        guild_id: Set(guild),
        ban_id: Set(ban.ban_id),
        address: Set(address.to_string()),
        source_user_id: Set(ban.source_user_id),
        banned_by: Set(banned_by),
        reason: Set(ban.reason.clone()),
        created_at: Set(ban.created_at_unix),
        expires_at: Set(ban.expires_at_unix),
    };
    Insert::one(row).exec_without_returning(tx).await?;
    Ok(())
}

/// The ban of an address that stands at `now`, and when it ends.
pub(crate) async fn of_address(
    tx: &WriteTx,
    guild: GuildId,
    address: IpAddr,
    now: i64,
) -> Result<Option<(IpBanId, Option<i64>)>, DbErr> {
    guild_ip_ban::Entity::find()
        .select_only()
        .column(guild_ip_ban::Column::BanId)
        .column(guild_ip_ban::Column::ExpiresAt)
        .filter(guild_ip_ban::Column::GuildId.eq(guild))
        .filter(guild_ip_ban::Column::Address.eq(address.to_string()))
        .filter(stands(now))
        .into_tuple()
        .one(tx)
        .await
}

/// Lets a ban last until another time.
pub(crate) async fn prolong(
    tx: &WriteTx,
    guild: GuildId,
    ban: IpBanId,
    expires_at: Option<i64>,
) -> Result<(), DbErr> {
    guild_ip_ban::Entity::update_many()
        .col_expr(guild_ip_ban::Column::ExpiresAt, Expr::value(expires_at))
        .filter(is(guild, ban))
        .exec(tx)
        .await?;
    Ok(())
}

/// Deletes what has ended by `now`.
pub(crate) async fn delete_ended(tx: &WriteTx, guild: GuildId, now: i64) -> Result<(), DbErr> {
    guild_ip_ban::Entity::delete_many()
        .filter(guild_ip_ban::Column::GuildId.eq(guild))
        .filter(guild_ip_ban::Column::ExpiresAt.lte(now))
        .exec(tx)
        .await?;
    Ok(())
}

/// How many bans stand at `now`.
pub(crate) async fn count(tx: &WriteTx, guild: GuildId, now: i64) -> Result<u64, DbErr> {
    guild_ip_ban::Entity::find()
        .filter(guild_ip_ban::Column::GuildId.eq(guild))
        .filter(stands(now))
        .count(tx)
        .await
}

/// Lifts a ban that stands at `now`. Answers its address, if there was one.
pub(crate) async fn lift(
    tx: &WriteTx,
    guild: GuildId,
    ban: IpBanId,
    now: i64,
) -> Result<Option<IpAddr>, DbErr> {
    let found: Option<String> = guild_ip_ban::Entity::find()
        .select_only()
        .column(guild_ip_ban::Column::Address)
        .filter(is(guild, ban))
        .filter(stands(now))
        .into_tuple()
        .one(tx)
        .await?;
    let Some(address) = found else {
        return Ok(None);
    };
    guild_ip_ban::Entity::delete_many()
        .filter(is(guild, ban))
        .exec(tx)
        .await?;
    parse(&address).map(Some)
}

/// The banned addresses of a guild, and when each ban ends.
pub(crate) async fn addresses(
    db: &impl ConnectionTrait,
    guild: GuildId,
) -> Result<Vec<(IpAddr, Option<i64>)>, DbErr> {
    let rows: Vec<(String, Option<i64>)> = guild_ip_ban::Entity::find()
        .select_only()
        .column(guild_ip_ban::Column::Address)
        .column(guild_ip_ban::Column::ExpiresAt)
        .filter(guild_ip_ban::Column::GuildId.eq(guild))
        .into_tuple()
        .all(db)
        .await?;
    rows.into_iter()
        .map(|(address, expires_at)| Ok((parse(&address)?, expires_at)))
        .collect()
}

/// Up to `limit` bans that stand at `now`, older than `cursor`, newest first.
pub(crate) async fn page(
    db: &impl ConnectionTrait,
    guild: GuildId,
    cursor: Option<IpBanId>,
    limit: u64,
    now: i64,
) -> Result<Vec<IpBan>, DbErr> {
    let mut query = guild_ip_ban::Entity::find()
        .filter(guild_ip_ban::Column::GuildId.eq(guild))
        .filter(stands(now));
    if let Some(cursor) = cursor {
        query = query.filter(guild_ip_ban::Column::BanId.lt(cursor));
    }
    let rows = query
        .order_by_desc(guild_ip_ban::Column::BanId)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| IpBan {
            ban_id: row.ban_id,
            source_user_id: row.source_user_id,
            reason: row.reason,
            created_at_unix: row.created_at,
            expires_at_unix: row.expires_at,
        })
        .collect())
}

fn parse(address: &str) -> Result<IpAddr, DbErr> {
    address
        .parse()
        .map_err(|_| DbErr::Custom("a banned address is none".to_string()))
}

fn is(guild: GuildId, ban: IpBanId) -> Condition {
    Condition::all()
        .add(guild_ip_ban::Column::GuildId.eq(guild))
        .add(guild_ip_ban::Column::BanId.eq(ban))
}

fn stands(now: i64) -> Condition {
    Condition::any()
        .add(guild_ip_ban::Column::ExpiresAt.is_null())
        .add(guild_ip_ban::Column::ExpiresAt.gt(now))
}

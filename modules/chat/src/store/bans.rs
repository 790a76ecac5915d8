use filament_kernel::{
    db::WriteTx,
    id::{GuildId, UserId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, Insert,
    QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict,
};

use crate::{domain::ban::Ban, entity::guild_ban};

/// Bans a user; a ban that is there already is replaced.
pub(crate) async fn set(tx: &WriteTx, guild: GuildId, ban: &Ban) -> Result<(), DbErr> {
    let row = guild_ban::ActiveModel {
        guild_id: Set(guild),
        user_id: Set(ban.user_id),
        banned_by: Set(ban.banned_by_user_id),
        reason: Set(ban.reason.clone()),
        created_at: Set(ban.created_at_unix),
        expires_at: Set(ban.expires_at_unix),
    };
    let known = OnConflict::columns([guild_ban::Column::GuildId, guild_ban::Column::UserId])
        .update_columns([
            guild_ban::Column::BannedBy,
            guild_ban::Column::Reason,
            guild_ban::Column::CreatedAt,
            guild_ban::Column::ExpiresAt,
        ])
        .to_owned();
    Insert::one(row)
        .on_conflict(known)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Lifts a ban.
pub(crate) async fn lift(tx: &WriteTx, guild: GuildId, user: UserId) -> Result<(), DbErr> {
    guild_ban::Entity::delete_by_id((guild, user))
        .exec(tx)
        .await?;
    Ok(())
}

/// Whether a user is banned at `now`.
pub(crate) async fn stands(
    db: &impl ConnectionTrait,
    guild: GuildId,
    user: UserId,
    now: i64,
) -> Result<bool, DbErr> {
    Ok(banned_by(db, guild, user, now).await?.is_some())
}

/// Who has set the ban of a user that stands at `now`.
pub(crate) async fn banned_by(
    db: &impl ConnectionTrait,
    guild: GuildId,
    user: UserId,
    now: i64,
) -> Result<Option<UserId>, DbErr> {
    let ban = guild_ban::Entity::find_by_id((guild, user)).one(db).await?;
    let standing = ban.filter(|ban| ban.expires_at.is_none_or(|at| at > now));
    Ok(standing.map(|ban| ban.banned_by))
}

/// Up to `limit` bans that stand at `now`, after the user `cursor`, in the order of the users' ids.
pub(crate) async fn page(
    db: &impl ConnectionTrait,
    guild: GuildId,
    cursor: Option<UserId>,
    limit: u64,
    now: i64,
) -> Result<Vec<Ban>, DbErr> {
    let mut query = guild_ban::Entity::find()
        .filter(guild_ban::Column::GuildId.eq(guild))
        .filter(
            Condition::any()
                .add(guild_ban::Column::ExpiresAt.is_null())
                .add(guild_ban::Column::ExpiresAt.gt(now)),
        );
    if let Some(cursor) = cursor {
        query = query.filter(guild_ban::Column::UserId.gt(cursor));
    }
    let rows = query
        .order_by_asc(guild_ban::Column::UserId)
        .limit(limit)
        .all(db)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Ban {
            user_id: row.user_id,
            banned_by_user_id: row.banned_by,
            reason: row.reason,
            created_at_unix: row.created_at,
            expires_at_unix: row.expires_at,
        })
        .collect())
}

//! Log-ins. A session is **live** while it is neither revoked nor past its expiry, and every change of one is a single statement that
//! says so itself: of two that meet, one finds nothing left to change.

use filament_kernel::id::{SessionId, UserId};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DbErr, QueryOrder, QuerySelect, QueryTrait, UpdateMany,
    entity::prelude::*,
};

use crate::{
    domain::refresh_token::RefreshToken,
    entity::session::{ActiveModel, Column, Entity},
};

/// Begins a session.
pub(crate) async fn open(
    db: &impl ConnectionTrait,
    user_id: UserId,
    token: &RefreshToken,
    now_ms: i64,
    expires_at_ms: i64,
) -> Result<(), DbErr> {
    let row = ActiveModel {
        session_id: Set(token.session),
        user_id: Set(user_id),
        lineage_hash: Set(token.lineage_hash()),
        refresh_hash: Set(token.hash()),
        created_at_ms: Set(now_ms),
        refreshed_at_ms: Set(now_ms),
        expires_at_ms: Set(expires_at_ms),
        revoked_at_ms: Set(None),
        client: Set(None),
        network: Set(None),
    };
    Entity::insert(row).exec_without_returning(db).await?;
    Ok(())
}

fn update_live(session: SessionId, now_ms: i64) -> UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::SessionId.eq(session))
        .filter(Column::RevokedAtMs.is_null())
        .filter(Column::ExpiresAtMs.gt(now_ms))
}

async fn owner_of_updated(
    update: UpdateMany<Entity>,
    db: &impl ConnectionTrait,
) -> Result<Option<UserId>, DbErr> {
    let updated = update.exec_with_returning(db).await?;
    Ok(updated.first().map(|row| row.user_id))
}

/// Puts `next` in the place of `spent`. Answers the session's owner; `None` when `spent` is not the newest token of a live session.
pub(crate) async fn rotate(
    db: &impl ConnectionTrait,
    spent: &RefreshToken,
    next: &RefreshToken,
    now_ms: i64,
    expires_at_ms: i64,
) -> Result<Option<UserId>, DbErr> {
    let update = update_live(spent.session, now_ms)
        .filter(Column::RefreshHash.eq(spent.hash()))
        .col_expr(Column::RefreshHash, Expr::value(next.hash()))
        .col_expr(Column::RefreshedAtMs, Expr::value(now_ms))
        .col_expr(Column::ExpiresAtMs, Expr::value(expires_at_ms));
    owner_of_updated(update, db).await
}

/// Ends the session of its newest token. Answers the owner; `None` when `token` is not the newest of a live session.
pub(crate) async fn revoke(
    db: &impl ConnectionTrait,
    token: &RefreshToken,
    now_ms: i64,
) -> Result<Option<UserId>, DbErr> {
    let update = update_live(token.session, now_ms)
        .filter(Column::RefreshHash.eq(token.hash()))
        .col_expr(Column::RevokedAtMs, Expr::value(now_ms));
    owner_of_updated(update, db).await
}

/// Ends the live session of which `token` is any token, new or spent. Answers the owner; `None` when there is no such session.
pub(crate) async fn revoke_lineage(
    db: &impl ConnectionTrait,
    token: &RefreshToken,
    now_ms: i64,
) -> Result<Option<UserId>, DbErr> {
    let update = update_live(token.session, now_ms)
        .filter(Column::LineageHash.eq(token.lineage_hash()))
        .col_expr(Column::RevokedAtMs, Expr::value(now_ms));
    owner_of_updated(update, db).await
}

/// The sessions that were revoked at `since_ms` or later, and when.
pub(crate) async fn revoked_since(
    db: &impl ConnectionTrait,
    since_ms: i64,
) -> Result<Vec<(SessionId, i64)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::SessionId, Column::RevokedAtMs])
        .filter(Column::RevokedAtMs.gte(since_ms))
        .into_tuple()
        .all(db)
        .await
}

/// Deletes up to `limit` sessions that expired before `before_ms`. Answers how many.
pub(crate) async fn delete_expired(
    db: &impl ConnectionTrait,
    before_ms: i64,
    limit: u64,
) -> Result<u64, DbErr> {
    let oldest = Entity::find()
        .select_only()
        .column(Column::SessionId)
        .filter(Column::ExpiresAtMs.lt(before_ms))
        .order_by_asc(Column::ExpiresAtMs)
        .limit(limit)
        .into_query();
    let deleted = Entity::delete_many()
        .filter(Column::SessionId.in_subquery(oldest))
        .exec(db)
        .await?;
    Ok(deleted.rows_affected)
}

//! Log-ins. A session is **live** while it is neither revoked nor past its expiry, and every change of one is a single statement that
//! says so itself: of two that meet, one finds nothing left to change.

use filament_kernel::{
    db::WriteTx,
    id::{SessionId, UserId},
};
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, DbErr, QueryOrder, QuerySelect, QueryTrait, Select, SelectExt, UpdateMany,
    entity::prelude::*,
    sea_query::{self, CaseStatement, LockBehavior, LockType},
};

use crate::{
    domain::{device::Device, lifetime::Lifetime, refresh_token::RefreshToken},
    entity::session::{ActiveModel, Column, Entity, Model},
};

/// Begins a session.
pub(crate) async fn open(
    db: &impl ConnectionTrait,
    user_id: UserId,
    token: &RefreshToken,
    device: Device,
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
        client: Set(device.client),
        network: Set(Some(device.network)),
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

/// Puts `next` in the place of `spent`, from when on the session's time begins anew, within the longest that one may last. Answers the
/// session's owner; `None` when `spent` is not the newest token of a live session.
pub(crate) async fn rotate(
    db: &impl ConnectionTrait,
    spent: &RefreshToken,
    next: &RefreshToken,
    now_ms: i64,
    lifetime: Lifetime,
) -> Result<Option<UserId>, DbErr> {
    let unused_ms = now_ms + lifetime.unused_ms;
    let expires_at_ms = CaseStatement::new()
        .case(
            Column::CreatedAtMs.lt(unused_ms - lifetime.max_ms),
            sea_query::ExprTrait::add(Expr::col(Column::CreatedAtMs), lifetime.max_ms),
        )
        .finally(unused_ms);
    let updated = update_live(spent.session, now_ms)
        .filter(Column::RefreshHash.eq(spent.hash()))
        .col_expr(Column::RefreshHash, Expr::value(next.hash()))
        .col_expr(Column::RefreshedAtMs, Expr::value(now_ms))
        .col_expr(Column::ExpiresAtMs, expires_at_ms.into())
        .exec_with_returning(db)
        .await?;
    // Sessions may last less long than when this one was opened.
    let live = updated.first().filter(|row| row.expires_at_ms > now_ms);
    Ok(live.map(|row| row.user_id))
}

/// Puts `spent` back in the place of `next`, its successor, if that is the newest token of a live session.
pub(crate) async fn restore(
    db: &impl ConnectionTrait,
    spent: &RefreshToken,
    next: &RefreshToken,
    now_ms: i64,
) -> Result<(), DbErr> {
    update_live(spent.session, now_ms)
        .filter(Column::RefreshHash.eq(next.hash()))
        .col_expr(Column::RefreshHash, Expr::value(spent.hash()))
        .exec(db)
        .await?;
    Ok(())
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

/// Which sessions of an account are meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// All others.
    AllBut(SessionId),
    /// This one.
    Only(SessionId),
}

/// Sessions that were ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    /// Each of them.
    pub(crate) sessions: Vec<SessionId>,
    /// How many of them were live.
    pub(crate) live: usize,
}

/// Ends sessions of an account whose row the caller has locked. Those that have expired are ended as well: a refresh that read the
/// clock a moment ago may be about to prolong one.
pub(crate) async fn end(
    db: &impl ConnectionTrait,
    user_id: UserId,
    which: Which,
    now_ms: i64,
) -> Result<Ended, DbErr> {
    let update = Entity::update_many()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::RevokedAtMs.is_null())
        .col_expr(Column::RevokedAtMs, Expr::value(now_ms));
    let update = match which {
        Which::All => update,
        Which::AllBut(kept) => update.filter(Column::SessionId.ne(kept)),
        Which::Only(session) => update.filter(Column::SessionId.eq(session)),
    };
    let rows = update.exec_with_returning(db).await?;
    Ok(Ended {
        live: rows.iter().filter(|row| row.expires_at_ms > now_ms).count(),
        sessions: rows.into_iter().map(|row| row.session_id).collect(),
    })
}

fn live_of(user_id: UserId, now_ms: i64) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::RevokedAtMs.is_null())
        .filter(Column::ExpiresAtMs.gt(now_ms))
}

/// Ends all but the `keep` live sessions of an account that were used last. Answers which.
pub(crate) async fn end_least_recently_used(
    db: &impl ConnectionTrait,
    user_id: UserId,
    keep: usize,
    now_ms: i64,
) -> Result<Ended, DbErr> {
    let by_use: Vec<SessionId> = live_of(user_id, now_ms)
        .select_only()
        .column(Column::SessionId)
        .order_by_desc(Column::RefreshedAtMs)
        .order_by_desc(Column::SessionId)
        .into_tuple()
        .all(db)
        .await?;
    let mut ended = Ended::default();
    for session in by_use.into_iter().skip(keep) {
        let one = end(db, user_id, Which::Only(session), now_ms).await?;
        ended.live += one.live;
        ended.sessions.extend(one.sessions);
    }
    Ok(ended)
}

/// What is shown of a live session.
pub(crate) struct Shown {
    pub(crate) session_id: SessionId,
    pub(crate) created_at_ms: i64,
    pub(crate) last_used_at_ms: i64,
    pub(crate) client: Option<String>,
    pub(crate) network: Option<String>,
}

impl From<Model> for Shown {
    fn from(row: Model) -> Self {
        Self {
            session_id: row.session_id,
            created_at_ms: row.created_at_ms,
            last_used_at_ms: row.refreshed_at_ms,
            client: row.client,
            network: row.network,
        }
    }
}

/// The live sessions of an account, newest first.
pub(crate) async fn live(
    db: &impl ConnectionTrait,
    user_id: UserId,
    now_ms: i64,
) -> Result<Vec<Shown>, DbErr> {
    let rows = live_of(user_id, now_ms)
        .order_by_desc(Column::CreatedAtMs)
        .order_by_desc(Column::SessionId)
        .all(db)
        .await?;
    Ok(rows.into_iter().map(Shown::from).collect())
}

/// Whether a session of an account is live.
pub(crate) async fn is_live(
    db: &impl ConnectionTrait,
    user_id: UserId,
    session: SessionId,
    now_ms: i64,
) -> Result<bool, DbErr> {
    live_of(user_id, now_ms)
        .filter(Column::SessionId.eq(session))
        .exists(db)
        .await
}

fn expired(since_ms: i64, now_ms: i64) -> Select<Entity> {
    Entity::find()
        .filter(Column::RevokedAtMs.is_null())
        .filter(Column::ExpiresAtMs.gte(since_ms))
        .filter(Column::ExpiresAtMs.lte(now_ms))
}

/// Whether a session expired between `since_ms` and `now_ms` that was not ended.
pub(crate) async fn any_expired(
    db: &impl ConnectionTrait,
    since_ms: i64,
    now_ms: i64,
) -> Result<bool, DbErr> {
    expired(since_ms, now_ms).exists(db).await
}

/// Ends up to `limit` of the sessions that expired between `since_ms` and `now_ms` and were not ended; those that others are changing in this
/// moment are left alone, as one of them may be refreshed. Answers how many.
pub(crate) async fn end_expired(
    tx: &WriteTx,
    since_ms: i64,
    now_ms: i64,
    limit: u64,
) -> Result<u64, DbErr> {
    let over: Vec<SessionId> = expired(since_ms, now_ms)
        .select_only()
        .column(Column::SessionId)
        .limit(limit)
        .lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked)
        .into_tuple()
        .all(tx)
        .await?;
    let ended = Entity::update_many()
        .filter(Column::SessionId.is_in(over))
        .col_expr(Column::RevokedAtMs, Expr::value(now_ms))
        .exec(tx)
        .await?;
    Ok(ended.rows_affected)
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

/// Deletes up to `limit` sessions that expired, and as many that were revoked, before `before_ms`. Answers how many of the one or of the
/// other there were, whichever is more.
pub(crate) async fn delete_over(
    db: &impl ConnectionTrait,
    before_ms: i64,
    limit: u64,
) -> Result<u64, DbErr> {
    let mut most = 0;
    for ended_at in [Column::ExpiresAtMs, Column::RevokedAtMs] {
        let oldest = Entity::find()
            .select_only()
            .column(Column::SessionId)
            .filter(ended_at.lt(before_ms))
            .order_by_asc(ended_at)
            .limit(limit)
            .into_query();
        let deleted = Entity::delete_many()
            .filter(Column::SessionId.in_subquery(oldest))
            .exec(db)
            .await?;
        most = most.max(deleted.rows_affected);
    }
    Ok(most)
}

use filament_kernel::{db::WriteTx, id::UserId};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, Insert,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::{
    domain::contact::Blocks,
    entity::user_block::{ActiveModel, Column, Entity},
};

/// Adds a block. There must be none.
pub(crate) async fn insert(
    tx: &WriteTx,
    user: UserId,
    blocked: UserId,
    now: i64,
) -> Result<(), DbErr> {
    let row = ActiveModel {
        user_id: Set(user),
        blocked_user_id: Set(blocked),
        created_at: Set(now),
    };
    Insert::one(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Lifts a block. Answers whether there was one.
pub(crate) async fn delete(tx: &WriteTx, user: UserId, blocked: UserId) -> Result<bool, DbErr> {
    let deleted = Entity::delete_by_id((user, blocked)).exec(tx).await?;
    Ok(deleted.rows_affected == 1)
}

/// The blocks between who turns to somebody and the one they turn to.
pub(crate) async fn between(
    db: &impl ConnectionTrait,
    sender: UserId,
    recipient: UserId,
) -> Result<Blocks, DbErr> {
    let one_way = |user: UserId, blocked: UserId| {
        Condition::all()
            .add(Column::UserId.eq(user))
            .add(Column::BlockedUserId.eq(blocked))
    };
    let either_way = Condition::any()
        .add(one_way(sender, recipient))
        .add(one_way(recipient, sender));
    let makers: Vec<UserId> = Entity::find()
        .select_only()
        .column(Column::UserId)
        .filter(either_way)
        .into_tuple()
        .all(db)
        .await?;
    Ok(Blocks {
        by_sender: makers.contains(&sender),
        by_recipient: makers.contains(&recipient),
    })
}

/// How many users a user has blocked.
pub(crate) async fn count(db: &impl ConnectionTrait, user: UserId) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::UserId.eq(user))
        .count(db)
        .await
}

/// Up to `limit` users that a user has blocked after `cursor`, in the order of their ids, each with the time since when, in unix
/// seconds.
pub(crate) async fn page(
    db: &impl ConnectionTrait,
    user: UserId,
    cursor: Option<UserId>,
    limit: u64,
) -> Result<Vec<(UserId, i64)>, DbErr> {
    let mut query = Entity::find()
        .select_only()
        .columns([Column::BlockedUserId, Column::CreatedAt])
        .filter(Column::UserId.eq(user));
    if let Some(cursor) = cursor {
        query = query.filter(Column::BlockedUserId.gt(cursor));
    }
    query
        .order_by_asc(Column::BlockedUserId)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}

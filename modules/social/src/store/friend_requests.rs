use filament_kernel::{
    db::WriteTx,
    id::{FriendRequestId, UserId},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait, Insert, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};

use crate::{
    config::MAX_REQUESTS,
    domain::{friend_request::Pending, pair::Pair},
    entity::friend_request::{ActiveModel, Column, Entity, Model},
};

/// Adds a request. There must be none between the two.
pub(crate) async fn insert(tx: &WriteTx, pending: Pending) -> Result<(), DbErr> {
    let pair = Pair::of(pending.sender, pending.recipient);
    let row = ActiveModel {
        request_id: Set(pending.request_id),
        sender_user_id: Set(pending.sender),
        recipient_user_id: Set(pending.recipient),
        user_low: Set(pair.low),
        user_high: Set(pair.high),
        created_at: Set(pending.created_at),
    };
    Insert::one(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Takes a request away. Answers whether it was there: of several who take it at once, one does.
pub(crate) async fn delete(tx: &WriteTx, id: FriendRequestId) -> Result<bool, DbErr> {
    let deleted = Entity::delete_by_id(id).exec(tx).await?;
    Ok(deleted.rows_affected == 1)
}

pub(crate) async fn find(
    db: &impl ConnectionTrait,
    id: FriendRequestId,
) -> Result<Option<Pending>, DbErr> {
    let found = Entity::find_by_id(id).one(db).await?;
    Ok(found.map(Pending::from))
}

/// The request between two people, whichever of them asked.
pub(crate) async fn between(
    db: &impl ConnectionTrait,
    pair: Pair,
) -> Result<Option<Pending>, DbErr> {
    let found = Entity::find()
        .filter(Column::UserLow.eq(pair.low))
        .filter(Column::UserHigh.eq(pair.high))
        .one(db)
        .await?;
    Ok(found.map(Pending::from))
}

/// How many requests of a user wait for an answer.
pub(crate) async fn count_outgoing(db: &impl ConnectionTrait, user: UserId) -> Result<u64, DbErr> {
    count(db, Column::SenderUserId, user).await
}

/// How many requests wait for a user's answer.
pub(crate) async fn count_incoming(db: &impl ConnectionTrait, user: UserId) -> Result<u64, DbErr> {
    count(db, Column::RecipientUserId, user).await
}

async fn count(db: &impl ConnectionTrait, side: Column, user: UserId) -> Result<u64, DbErr> {
    Entity::find().filter(side.eq(user)).count(db).await
}

/// The requests of a user that wait for an answer, oldest first.
pub(crate) async fn outgoing(
    db: &impl ConnectionTrait,
    user: UserId,
) -> Result<Vec<Pending>, DbErr> {
    list(db, Column::SenderUserId, user).await
}

/// The requests that wait for a user's answer, oldest first.
pub(crate) async fn incoming(
    db: &impl ConnectionTrait,
    user: UserId,
) -> Result<Vec<Pending>, DbErr> {
    list(db, Column::RecipientUserId, user).await
}

async fn list(
    db: &impl ConnectionTrait,
    side: Column,
    user: UserId,
) -> Result<Vec<Pending>, DbErr> {
    let rows = Entity::find()
        .filter(side.eq(user))
        .order_by_asc(Column::RequestId)
        .limit(u64::from(MAX_REQUESTS))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(Pending::from).collect())
}

impl From<Model> for Pending {
    fn from(row: Model) -> Self {
        Self {
            request_id: row.request_id,
            sender: row.sender_user_id,
            recipient: row.recipient_user_id,
            created_at: row.created_at,
        }
    }
}

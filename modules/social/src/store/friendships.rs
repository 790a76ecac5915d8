use filament_kernel::{
    db::{WriteTx, insert_all},
    id::UserId,
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};

use crate::{
    config::MAX_FRIENDS,
    entity::friendship::{ActiveModel, Column, Entity},
};

/// Makes `one` and `other` friends. They must not be friends.
pub(crate) async fn insert(
    tx: &WriteTx,
    one: UserId,
    other: UserId,
    now: i64,
) -> Result<(), DbErr> {
    let side = |user_id, friend_user_id| ActiveModel {
        user_id: Set(user_id),
        friend_user_id: Set(friend_user_id),
        created_at: Set(now),
    };
    insert_all(tx, vec![side(one, other), side(other, one)]).await
}

/// Ends a friendship. Answers whether there was one.
pub(crate) async fn delete(tx: &WriteTx, one: UserId, other: UserId) -> Result<bool, DbErr> {
    let side = |user: UserId, friend: UserId| {
        Condition::all()
            .add(Column::UserId.eq(user))
            .add(Column::FriendUserId.eq(friend))
    };
    let both = Condition::any().add(side(one, other)).add(side(other, one));
    let deleted = Entity::delete_many().filter(both).exec(tx).await?;
    Ok(deleted.rows_affected > 0)
}

/// Whether two people are friends.
pub(crate) async fn exists(
    db: &impl ConnectionTrait,
    one: UserId,
    other: UserId,
) -> Result<bool, DbErr> {
    let found = Entity::find_by_id((one, other)).one(db).await?;
    Ok(found.is_some())
}

/// How many friends a user has.
pub(crate) async fn count(db: &impl ConnectionTrait, user: UserId) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::UserId.eq(user))
        .count(db)
        .await
}

/// The friends of a user in the order of their ids, each with the time since when, in unix seconds.
pub(crate) async fn of_user(
    db: &impl ConnectionTrait,
    user: UserId,
) -> Result<Vec<(UserId, i64)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::FriendUserId, Column::CreatedAt])
        .filter(Column::UserId.eq(user))
        .order_by_asc(Column::FriendUserId)
        .limit(u64::from(MAX_FRIENDS))
        .into_tuple()
        .all(db)
        .await
}

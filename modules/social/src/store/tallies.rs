use filament_kernel::{db::WriteTx, id::UserId};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, Insert, QueryFilter,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{
    domain::tally::{DAY_SECS, Tally},
    entity::friend_request_tally::{ActiveModel, Column, Entity},
};

/// How often `sender` has asked `recipient`, if it is known; it may be out of date.
pub(crate) async fn find(
    db: &impl ConnectionTrait,
    sender: UserId,
    recipient: UserId,
) -> Result<Option<Tally>, DbErr> {
    let found = Entity::find_by_id((sender, recipient)).one(db).await?;
    Ok(found.map(|row| Tally {
        requests: row.requests,
        since_at: row.since_at,
    }))
}

/// Counts one more request at `now`, in unix seconds. What `sender` asked anybody more than a day ago is forgotten, so that no
/// more is kept of a sender than a day's requests.
pub(crate) async fn add(
    tx: &WriteTx,
    sender: UserId,
    recipient: UserId,
    now: i64,
) -> Result<(), DbErr> {
    Entity::delete_many()
        .filter(Column::SenderUserId.eq(sender))
        .filter(Column::SinceAt.lte(now.saturating_sub(DAY_SECS)))
        .exec(tx)
        .await?;
    let first = ActiveModel {
        sender_user_id: Set(sender),
        recipient_user_id: Set(recipient),
        requests: Set(1),
        since_at: Set(now),
    };
    let one_more = OnConflict::columns([Column::SenderUserId, Column::RecipientUserId])
        .value(
            Column::Requests,
            Expr::col((Entity, Column::Requests)).add(1),
        )
        .to_owned();
    Insert::one(first)
        .on_conflict(one_more)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

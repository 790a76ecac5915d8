//! Requests that wait for an answer; one at most between two people.

use filament_kernel::id::{FriendRequestId, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "friend_requests")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub request_id: FriendRequestId,
    pub sender_user_id: UserId,
    pub recipient_user_id: UserId,
    /// The lesser id of the two.
    pub user_low: UserId,
    /// The greater id of the two.
    pub user_high: UserId,
    pub created_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}

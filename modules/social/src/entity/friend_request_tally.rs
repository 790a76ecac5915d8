//! How often somebody has asked the same other one.

use filament_kernel::id::UserId;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "friend_request_tallies")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub sender_user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub recipient_user_id: UserId,
    pub requests: i64,
    /// When the first of them was made.
    pub since_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}

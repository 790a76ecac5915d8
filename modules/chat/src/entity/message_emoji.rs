//! One emoji under a message: how many set it, and who was first. `place` is its order among the message's emoji, `last_place`
//! the place of the latest user who set it, `first_user_ids` the ids of the first 32 of those who have it set, without separators.

use filament_kernel::id::{ChannelId, MessageId};
use sea_orm::entity::prelude::*;

use crate::domain::emoji::Emoji;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "message_emoji")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub emoji: Emoji,
    pub place: i64,
    pub count: i64,
    pub last_place: i64,
    #[sea_orm(column_type = "Text")]
    pub first_user_ids: String,
}

impl ActiveModelBehavior for ActiveModel {}

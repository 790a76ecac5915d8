//! Messages, by channel: a channel's history is one range of the primary key.

use filament_kernel::id::{ChannelId, MessageId, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
    pub author_id: UserId,
    #[sea_orm(column_type = "Text")]
    pub content: String,
    pub created_at: i64,
    pub edited_at: Option<i64>,
    /// How many distinct emoji are under it.
    pub emoji: i64,
    /// The place of the latest of them.
    pub last_emoji_place: i64,
}

impl ActiveModelBehavior for ActiveModel {}

//! Who set which emoji under which message. `place` is the order in which they did.

use filament_kernel::id::{ChannelId, MessageId, UserId};
use sea_orm::entity::prelude::*;

use crate::domain::emoji::Emoji;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reactions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: MessageId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub emoji: Emoji,
    pub place: i64,
}

impl ActiveModelBehavior for ActiveModel {}

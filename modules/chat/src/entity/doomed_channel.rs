//! Deleted channels whose messages are still being deleted.

use filament_kernel::id::ChannelId;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "doomed_channels")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelId,
}

impl ActiveModelBehavior for ActiveModel {}

//! Channels, by guild.

use filament_kernel::id::{ChannelId, GuildId};
use sea_orm::entity::prelude::*;

use crate::domain::channel::ChannelKind;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "channels")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub guild_id: GuildId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelId,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    pub kind: ChannelKind,
    pub created_at: i64,
    #[sea_orm(column_type = "Text")]
    pub topic: String,
    pub position: i64,
}

impl ActiveModelBehavior for ActiveModel {}

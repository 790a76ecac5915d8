//! What channels say about single members, present or past.

use filament_kernel::id::{ChannelId, GuildId, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "channel_member_overrides")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub guild_id: GuildId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub channel_id: ChannelId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// The bits of a permission set.
    pub allow: i64,
    /// The bits of a permission set.
    pub deny: i64,
}

impl ActiveModelBehavior for ActiveModel {}

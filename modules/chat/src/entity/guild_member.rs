//! Who is in which guild.

use filament_kernel::id::{GuildId, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "guild_members")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub guild_id: GuildId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub joined_at: i64,
    #[sea_orm(belongs_to, from = "guild_id", to = "guild_id")]
    pub guild: BelongsTo<super::guild::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

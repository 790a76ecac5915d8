//! How many guilds each user has made that still exist.

use filament_kernel::id::UserId;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "guild_creators")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub guilds: i64,
}

impl ActiveModelBehavior for ActiveModel {}

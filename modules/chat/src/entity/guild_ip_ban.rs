//! Which addresses are banned from which guild. No answer shows an address.

use filament_kernel::id::{GuildId, IpBanId, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "guild_ip_bans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub guild_id: GuildId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub ban_id: IpBanId,
    #[sea_orm(column_type = "Text")]
    pub address: String,
    pub source_user_id: UserId,
    pub banned_by: UserId,
    #[sea_orm(column_type = "Text")]
    pub reason: String,
    pub created_at: i64,
    pub expires_at: Option<i64>,
}

impl ActiveModelBehavior for ActiveModel {}

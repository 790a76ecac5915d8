//! Guilds.

use filament_kernel::id::{GuildId, RoleId, UserId};
use sea_orm::entity::prelude::*;

use crate::domain::guild::Visibility;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "guilds")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub guild_id: GuildId,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// The name as the directory searches it.
    #[sea_orm(column_type = "Text")]
    pub name_key: String,
    pub visibility: Visibility,
    pub created_by: UserId,
    pub created_at: i64,
    pub member_count: i64,
    /// What who joins is given.
    pub default_join_role_id: Option<RoleId>,
    /// When it was deleted; it does not exist for anybody from then on, and its rows go little by little.
    pub deleted_at: Option<i64>,
    #[sea_orm(has_many)]
    pub members: HasMany<super::guild_member::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

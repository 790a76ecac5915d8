//! Roles, by guild.

use filament_kernel::id::{GuildId, RoleId};
use sea_orm::entity::prelude::*;

use crate::domain::role::RoleKind;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "roles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub guild_id: GuildId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub role_id: RoleId,
    pub kind: RoleKind,
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Higher is mightier; `@everyone` is 0.
    pub position: i64,
    /// The bits of a permission set.
    pub permissions: i64,
    /// `#RRGGBB`.
    #[sea_orm(column_type = "Text", nullable)]
    pub color_hex: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

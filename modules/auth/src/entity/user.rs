//! Accounts.

use filament_kernel::id::{BlobId, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    #[sea_orm(column_type = "Text")]
    pub username: String,
    /// The name lower-cased.
    #[sea_orm(column_type = "Text", unique)]
    pub username_key: String,
    /// In the PHC string format.
    #[sea_orm(column_type = "Text")]
    pub password_hash: String,
    #[sea_orm(column_type = "Text")]
    pub about_markdown: String,
    pub avatar_version: i64,
    pub banner_version: i64,
    pub created_at_ms: i64,
    /// When the operator switched the account off.
    pub disabled_at_ms: Option<i64>,
    pub avatar_blob: Option<BlobId>,
    pub banner_blob: Option<BlobId>,
}

impl ActiveModelBehavior for ActiveModel {}

//! Log-ins: each is one row, from its first token to some time after its end.

use filament_kernel::id::{SessionId, UserId};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub session_id: SessionId,
    pub user_id: UserId,
    /// By which all refresh tokens of this session are known.
    #[sea_orm(column_type = "Text")]
    pub lineage_hash: String,
    /// By which the newest one is known.
    #[sea_orm(column_type = "Text")]
    pub refresh_hash: String,
    pub created_at_ms: i64,
    pub refreshed_at_ms: i64,
    /// Unless it is refreshed.
    pub expires_at_ms: i64,
    pub revoked_at_ms: Option<i64>,
    /// What the client called itself at the log-in.
    #[sea_orm(column_type = "Text", nullable)]
    pub client: Option<String>,
    /// The network of the address at the log-in.
    #[sea_orm(column_type = "Text", nullable)]
    pub network: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

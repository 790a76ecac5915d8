//! The audit log's writing end.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    audit::{Audit, AuditEntry},
    clock::Clock,
    db::{EntityShape, WriteTx},
    id::Ids,
};
use sea_orm::{ActiveValue::Set, EntityTrait};

mod entity {
    use filament_kernel::id::{AuditId, GuildId, UserId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_log")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub audit_id: AuditId,
        pub at_ms: i64,
        #[sea_orm(column_type = "Text")]
        pub action: String,
        pub actor_user_id: Option<UserId>,
        pub guild_id: Option<GuildId>,
        pub target_user_id: Option<UserId>,
        #[sea_orm(column_type = "Text", nullable)]
        pub details: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub request_id: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The host's own table of the audit log.
pub fn shapes() -> Vec<EntityShape> {
    vec![EntityShape::of::<entity::Entity>()]
}

/// Writes entries into the `audit_log` table.
pub struct AuditLog {
    /// New ids.
    pub ids: Arc<Ids>,
    /// Time.
    pub clock: Clock,
}

#[async_trait::async_trait]
impl Audit for AuditLog {
    async fn record(&self, tx: &WriteTx, entry: AuditEntry) -> Result<(), ApiError> {
        let row = entity::ActiveModel {
            audit_id: Set(self.ids.next()),
            at_ms: Set(self.clock.now_ms()),
            action: Set(entry.action.to_string()),
            actor_user_id: Set(entry.actor),
            guild_id: Set(entry.guild),
            target_user_id: Set(entry.target),
            details: Set(entry.details.map(|details| details.to_string())),
            request_id: Set(entry.request_id.map(|id| id.to_string())),
        };
        entity::Entity::insert(row)
            .exec_without_returning(tx)
            .await?;
        Ok(())
    }
}

//! The audit log: written in the transaction of the act, read by guild.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    audit::{Audit, AuditEntry, AuditRecord},
    clock::Clock,
    db::{Database, EntityShape, WriteTx},
    id::{AuditId, GuildId, Ids},
};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::LikeExpr,
};

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

/// The `audit_log` table.
pub struct AuditLog {
    /// For reading.
    pub db: Database,
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

    async fn of_guild(
        &self,
        guild: GuildId,
        before: Option<AuditId>,
        action_prefix: Option<&str>,
        limit: u64,
    ) -> Result<Vec<AuditRecord>, ApiError> {
        let mut query = entity::Entity::find().filter(entity::Column::GuildId.eq(guild));
        if let Some(before) = before {
            query = query.filter(entity::Column::AuditId.lt(before));
        }
        if let Some(prefix) = action_prefix {
            query = query.filter(entity::Column::Action.like(beginning_with(prefix)));
        }
        let rows = query
            .order_by_desc(entity::Column::AuditId)
            .limit(limit)
            .all(self.db.read())
            .await?;
        rows.into_iter().map(AuditRecord::try_from).collect()
    }
}

impl TryFrom<entity::Model> for AuditRecord {
    type Error = ApiError;

    fn try_from(row: entity::Model) -> Result<Self, ApiError> {
        let details = row.details.as_deref().map(serde_json::from_str);
        Ok(Self {
            audit_id: row.audit_id,
            at_unix: row.at_ms / 1_000,
            actor: row.actor_user_id,
            action: row.action,
            target: row.target_user_id,
            details: details.transpose().map_err(ApiError::internal)?,
        })
    }
}

/// A pattern for texts that begin with `prefix` as it is. The escape is no backslash, which the databases quote differently.
fn beginning_with(prefix: &str) -> LikeExpr {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    LikeExpr::new(pattern).escape('!')
}

//! An index for the entries of a guild's audit log whose actions begin alike: few among many would be looked for one by one.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const NAME: &str = "audit_log_by_action";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut action = "action".into_index_column();
        if manager.get_database_backend() == DbBackend::Postgres {
            // Beginnings are found by bytes, whatever the locale of the database.
            action = action.with_operator_class("text_pattern_ops");
        }
        manager
            .create_index(
                Index::create()
                    .name(NAME)
                    .table("audit_log")
                    .col("guild_id")
                    .col(action)
                    .col("audit_id")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(Index::drop().name(NAME).table("audit_log").to_owned())
            .await
    }
}

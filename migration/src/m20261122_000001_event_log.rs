//! The host's tables: the event log and the audit log.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

use crate::columns::{id, integer, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("event_streams")
                    .col(id(manager, "stream").not_null().primary_key())
                    .col(integer("last_number"))
                    .col(integer("updated_at_ms"))
                    .to_owned(),
            )
            .await?;
        if manager.get_database_backend() == DbBackend::Postgres {
            // Every commit of a stream updates its row. With room on the page and no other index the new version stays on
            // it (a heap-only tuple) and its predecessor is cleaned up by the next reader, so that a hot stream does not bloat.
            manager
                .get_connection()
                .execute_unprepared("ALTER TABLE event_streams SET (fillfactor = 20)")
                .await?;
        }
        manager
            .create_table(
                Table::create()
                    .table("events")
                    .col(id(manager, "stream").not_null())
                    .col(integer("number"))
                    .col(integer("at_ms"))
                    .col(text("name"))
                    .col(id(manager, "channel_id"))
                    .col(text("data"))
                    .col(id(manager, "admits"))
                    .col(id(manager, "expels"))
                    .primary_key(Index::create().col("stream").col("number"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("audit_log")
                    .col(id(manager, "audit_id").not_null().primary_key())
                    .col(integer("at_ms"))
                    .col(text("action"))
                    .col(id(manager, "actor_user_id"))
                    .col(id(manager, "guild_id"))
                    .col(id(manager, "target_user_id"))
                    .col(ColumnDef::new("details").text())
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("audit_log_by_guild")
                    .table("audit_log")
                    .col("guild_id")
                    .col("audit_id")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["audit_log", "events", "event_streams"] {
            manager
                .drop_table(Table::drop().table(Alias::new(table)).to_owned())
                .await?;
        }
        Ok(())
    }
}

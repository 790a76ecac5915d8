//! The host's table of answers that are given again: requests that were sent under an `Idempotency-Key`.

use sea_orm_migration::prelude::*;

use crate::columns::{id, integer};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// SHA-256, 32 bytes.
fn hash(name: &'static str) -> ColumnDef {
    ColumnDef::new(Alias::new(name))
        .blob()
        .not_null()
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("idempotency_keys")
                    .col(id(manager, "user_id").not_null())
                    .col(hash("key_hash"))
                    .col(hash("fingerprint"))
                    // The server that carries the request out, until there is an answer.
                    .col(id(manager, "server_id").not_null())
                    .col(integer("created_at_ms"))
                    // The answer; NULL as long as there is none.
                    .col(ColumnDef::new("status").big_integer())
                    .col(ColumnDef::new("content_type").text())
                    .col(ColumnDef::new("body").blob())
                    .primary_key(Index::create().col("user_id").col("key_hash"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("idempotency_keys_by_age")
                    .table("idempotency_keys")
                    .col("created_at_ms")
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(
                Table::drop()
                    .table(Alias::new("idempotency_keys"))
                    .to_owned(),
            )
            .await
    }
}

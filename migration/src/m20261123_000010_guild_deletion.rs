//! Guilds that are deleted, and whose rows are still being deleted little by little.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COLUMN: &str = "deleted_at";
const INDEX: &str = "guilds_by_deletion";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .alter_table(
                Table::alter()
                    .table("guilds")
                    .add_column(ColumnDef::new(COLUMN).big_integer())
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name(INDEX)
                    .table("guilds")
                    .col(COLUMN)
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_index(Index::drop().name(INDEX).table("guilds").to_owned())
            .await?;
        manager
            .alter_table(
                Table::alter()
                    .table("guilds")
                    .drop_column(COLUMN)
                    .to_owned(),
            )
            .await
    }
}

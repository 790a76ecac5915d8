//! The tables of the auth module: accounts and log-ins.

use sea_orm_migration::prelude::*;

use crate::columns::{id, integer, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .create_table(
                Table::create()
                    .table("users")
                    .col(id(manager, "user_id").not_null().primary_key())
                    .col(text("username"))
                    // The name lower-cased: names that differ in case only are one name.
                    .col(id(manager, "username_key").not_null())
                    .col(text("password_hash"))
                    .col(text("about_markdown"))
                    .col(integer("avatar_version"))
                    .col(integer("banner_version"))
                    .col(integer("created_at_ms"))
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("users_by_username_key")
                    .table("users")
                    .col("username_key")
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager
            .create_table(
                Table::create()
                    .table("sessions")
                    .col(id(manager, "session_id").not_null().primary_key())
                    .col(id(manager, "user_id").not_null())
                    .col(id(manager, "lineage_hash").not_null())
                    .col(id(manager, "refresh_hash").not_null())
                    .col(integer("created_at_ms"))
                    .col(integer("refreshed_at_ms"))
                    .col(integer("expires_at_ms"))
                    .col(ColumnDef::new("revoked_at_ms").big_integer())
                    .foreign_key(
                        ForeignKey::create()
                            .name("sessions_user")
                            .from("sessions", "user_id")
                            .to("users", "user_id")
                            .on_delete(ForeignKeyAction::Cascade),
                    )
                    .to_owned(),
            )
            .await?;
        for (name, column) in [
            ("sessions_by_user", "user_id"),
            ("sessions_by_expiry", "expires_at_ms"),
            ("sessions_by_revocation", "revoked_at_ms"),
        ] {
            manager
                .create_index(
                    Index::create()
                        .name(name)
                        .table("sessions")
                        .col(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["sessions", "users"] {
            manager
                .drop_table(Table::drop().table(Alias::new(table)).to_owned())
                .await?;
        }
        Ok(())
    }
}

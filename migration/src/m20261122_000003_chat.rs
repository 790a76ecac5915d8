//! The tables of the chat module.

use sea_orm_migration::prelude::*;

use crate::columns::{belongs_to, id, integer, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            // How many guilds of each user's making exist. A counter, and not a count of rows, because raising it
            // under a condition is exact under parallel requests on both databases.
            Table::create()
                .table("guild_creators")
                .col(id(manager, "user_id").not_null().primary_key())
                .col(integer("guilds"))
                .to_owned(),
            // `name_key` is the name in lower case, for the search in the directory.
            Table::create()
                .table("guilds")
                .col(id(manager, "guild_id").not_null().primary_key())
                .col(text("name"))
                .col(text("name_key"))
                .col(text("visibility"))
                .col(id(manager, "created_by").not_null())
                .col(integer("created_at"))
                .to_owned(),
            Table::create()
                .table("channels")
                .col(id(manager, "guild_id").not_null())
                .col(id(manager, "channel_id").not_null())
                .col(text("name"))
                .col(text("kind"))
                .col(integer("created_at"))
                .primary_key(Index::create().col("guild_id").col("channel_id"))
                .foreign_key(&mut belongs_to(
                    "channels",
                    &["guild_id"],
                    "guilds",
                    &["guild_id"],
                ))
                .to_owned(),
            // `permissions` is a set of bits; their places are those of the chat module's `Permission`.
            Table::create()
                .table("roles")
                .col(id(manager, "guild_id").not_null())
                .col(id(manager, "role_id").not_null())
                .col(text("kind"))
                .col(text("name"))
                .col(integer("position"))
                .col(integer("permissions"))
                .primary_key(Index::create().col("guild_id").col("role_id"))
                .foreign_key(&mut belongs_to(
                    "roles",
                    &["guild_id"],
                    "guilds",
                    &["guild_id"],
                ))
                .to_owned(),
            Table::create()
                .table("guild_members")
                .col(id(manager, "guild_id").not_null())
                .col(id(manager, "user_id").not_null())
                .col(integer("joined_at"))
                .primary_key(Index::create().col("guild_id").col("user_id"))
                .foreign_key(&mut belongs_to(
                    "guild_members",
                    &["guild_id"],
                    "guilds",
                    &["guild_id"],
                ))
                .to_owned(),
            Table::create()
                .table("guild_member_roles")
                .col(id(manager, "guild_id").not_null())
                .col(id(manager, "user_id").not_null())
                .col(id(manager, "role_id").not_null())
                .primary_key(
                    Index::create()
                        .col("guild_id")
                        .col("user_id")
                        .col("role_id"),
                )
                .foreign_key(&mut belongs_to(
                    "guild_member_roles",
                    &["guild_id", "user_id"],
                    "guild_members",
                    &["guild_id", "user_id"],
                ))
                .foreign_key(&mut belongs_to(
                    "guild_member_roles",
                    &["guild_id", "role_id"],
                    "roles",
                    &["guild_id", "role_id"],
                ))
                .to_owned(),
            // The key puts a channel's history side by side. No foreign key: it would be checked for each message.
            Table::create()
                .table("messages")
                .col(id(manager, "channel_id").not_null())
                .col(id(manager, "message_id").not_null())
                .col(id(manager, "author_id").not_null())
                .col(text("content"))
                .col(integer("created_at"))
                .col(ColumnDef::new("edited_at").big_integer())
                .primary_key(Index::create().col("channel_id").col("message_id"))
                .to_owned(),
        ] {
            manager.create_table(table).await?;
        }
        for index in [
            Index::create()
                .name("guilds_by_visibility")
                .table("guilds")
                .col("visibility")
                .col("guild_id")
                .to_owned(),
            Index::create()
                .name("guild_members_by_user")
                .table("guild_members")
                .col("user_id")
                .col("guild_id")
                .to_owned(),
            // For the cascade from a role that is deleted.
            Index::create()
                .name("guild_member_roles_by_role")
                .table("guild_member_roles")
                .col("guild_id")
                .col("role_id")
                .to_owned(),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "messages",
            "guild_member_roles",
            "guild_members",
            "roles",
            "channels",
            "guilds",
            "guild_creators",
        ] {
            manager
                .drop_table(Table::drop().table(Alias::new(table)).to_owned())
                .await?;
        }
        Ok(())
    }
}

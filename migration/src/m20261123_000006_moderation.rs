//! Roles, channels and members that can be managed: overrides, bans, and what is still to be deleted.

use sea_orm_migration::prelude::*;

use crate::columns::{belongs_to, id, integer, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Columns with a default, so that a server of the version before goes on working on this schema.
fn columns(manager: &SchemaManager<'_>) -> Vec<(&'static str, ColumnDef)> {
    vec![
        // Raised and lowered with the rows of `guild_members`, because raising it under a condition is exact under parallel requests.
        ("guilds", integer("member_count").default(0).to_owned()),
        // What who joins is given; null for nothing. Cleared with the role.
        ("guilds", id(manager, "default_join_role_id")),
        ("channels", text("topic").default("").to_owned()),
        // Channels of the same position stand in the order of their ids.
        ("channels", integer("position").default(0).to_owned()),
        ("roles", ColumnDef::new("color_hex").text().to_owned()),
    ]
}

const FILL: [&str; 2] = [
    "UPDATE guilds SET member_count = \
     (SELECT COUNT(*) FROM guild_members WHERE guild_members.guild_id = guilds.guild_id)",
    "UPDATE guilds SET default_join_role_id = \
     (SELECT role_id FROM roles WHERE roles.guild_id = guilds.guild_id AND roles.kind = 'member')",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // SQLite adds one column a statement.
        for (table, mut column) in columns(manager) {
            manager
                .alter_table(
                    Table::alter()
                        .table(Alias::new(table))
                        .add_column(&mut column)
                        .to_owned(),
                )
                .await?;
        }
        for statement in FILL {
            manager
                .get_connection()
                .execute_unprepared(statement)
                .await?;
        }
        for table in [
            role_overrides(manager),
            member_overrides(manager),
            bans(manager),
            ip_bans(manager),
            addresses(manager),
            // Channels that are deleted and whose messages, which no foreign key binds, are still being deleted.
            Table::create()
                .table("doomed_channels")
                .col(id(manager, "channel_id").not_null().primary_key())
                .to_owned(),
        ] {
            manager.create_table(table).await?;
        }
        for index in [
            // For the cascade from a role that is deleted.
            Index::create()
                .name("channel_role_overrides_by_role")
                .table("channel_role_overrides")
                .col("guild_id")
                .col("role_id")
                .to_owned(),
            Index::create()
                .name("guild_ip_bans_by_address")
                .table("guild_ip_bans")
                .col("guild_id")
                .col("address")
                .unique()
                .to_owned(),
            // For forgetting addresses that were not seen for long.
            Index::create()
                .name("guild_addresses_by_time")
                .table("guild_addresses")
                .col("seen_at")
                .to_owned(),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "doomed_channels",
            "guild_addresses",
            "guild_ip_bans",
            "guild_bans",
            "channel_member_overrides",
            "channel_role_overrides",
        ] {
            manager
                .drop_table(Table::drop().table(Alias::new(table)).to_owned())
                .await?;
        }
        for (table, column) in columns(manager) {
            manager
                .alter_table(
                    Table::alter()
                        .table(Alias::new(table))
                        .drop_column(Alias::new(column.get_column_name()))
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }
}

/// What a channel allows and denies to who holds a role, as sets of bits like those of `roles`.
fn role_overrides(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table("channel_role_overrides")
        .col(id(manager, "guild_id").not_null())
        .col(id(manager, "channel_id").not_null())
        .col(id(manager, "role_id").not_null())
        .col(integer("allow"))
        .col(integer("deny"))
        .primary_key(
            Index::create()
                .col("guild_id")
                .col("channel_id")
                .col("role_id"),
        )
        .foreign_key(&mut belongs_to(
            "channel_role_overrides",
            &["guild_id", "channel_id"],
            "channels",
            &["guild_id", "channel_id"],
        ))
        .foreign_key(&mut belongs_to(
            "channel_role_overrides",
            &["guild_id", "role_id"],
            "roles",
            &["guild_id", "role_id"],
        ))
        .to_owned()
}

/// The same for one member. It stays when the member leaves: who was denied something does not get it back by joining anew.
fn member_overrides(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table("channel_member_overrides")
        .col(id(manager, "guild_id").not_null())
        .col(id(manager, "channel_id").not_null())
        .col(id(manager, "user_id").not_null())
        .col(integer("allow"))
        .col(integer("deny"))
        .primary_key(
            Index::create()
                .col("guild_id")
                .col("channel_id")
                .col("user_id"),
        )
        .foreign_key(&mut belongs_to(
            "channel_member_overrides",
            &["guild_id", "channel_id"],
            "channels",
            &["guild_id", "channel_id"],
        ))
        .to_owned()
}

fn bans(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table("guild_bans")
        .col(id(manager, "guild_id").not_null())
        .col(id(manager, "user_id").not_null())
        .col(id(manager, "banned_by").not_null())
        .col(text("reason"))
        .col(integer("created_at"))
        .col(ColumnDef::new("expires_at").big_integer())
        .primary_key(Index::create().col("guild_id").col("user_id"))
        .foreign_key(&mut belongs_to(
            "guild_bans",
            &["guild_id"],
            "guilds",
            &["guild_id"],
        ))
        .to_owned()
}

/// `address` is never answered to anybody.
fn ip_bans(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table("guild_ip_bans")
        .col(id(manager, "guild_id").not_null())
        .col(id(manager, "ban_id").not_null())
        .col(id(manager, "address").not_null())
        .col(id(manager, "source_user_id").not_null())
        .col(id(manager, "banned_by").not_null())
        .col(text("reason"))
        .col(integer("created_at"))
        .col(ColumnDef::new("expires_at").big_integer())
        .primary_key(Index::create().col("guild_id").col("ban_id"))
        .foreign_key(&mut belongs_to(
            "guild_ip_bans",
            &["guild_id"],
            "guilds",
            &["guild_id"],
        ))
        .to_owned()
}

/// From where somebody joined a guild or wrote in it: what bans of addresses are made of. Never answered to anybody.
fn addresses(manager: &SchemaManager<'_>) -> TableCreateStatement {
    Table::create()
        .table("guild_addresses")
        .col(id(manager, "guild_id").not_null())
        .col(id(manager, "user_id").not_null())
        .col(id(manager, "address").not_null())
        .col(integer("seen_at"))
        .primary_key(
            Index::create()
                .col("guild_id")
                .col("user_id")
                .col("address"),
        )
        .foreign_key(&mut belongs_to(
            "guild_addresses",
            &["guild_id"],
            "guilds",
            &["guild_id"],
        ))
        .to_owned()
}

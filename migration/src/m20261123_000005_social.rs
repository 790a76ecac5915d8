//! The tables of the social module: friendships, requests for them, and blocks.

use sea_orm_migration::prelude::*;

use crate::columns::{id, integer};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// What a deleted account leaves behind goes with it.
fn of_user(table: &'static str, column: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .from(table, column)
        .to("users", "user_id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned()
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            // Two rows for each friendship, one from each side: the friends of a user stand side by side.
            Table::create()
                .table("friendships")
                .col(id(manager, "user_id").not_null())
                .col(id(manager, "friend_user_id").not_null())
                .col(integer("created_at"))
                .primary_key(Index::create().col("user_id").col("friend_user_id"))
                .foreign_key(&mut of_user("friendships", "user_id"))
                .foreign_key(&mut of_user("friendships", "friend_user_id"))
                .to_owned(),
            // `user_low` and `user_high` are the two people in the order of their ids, whoever asked.
            Table::create()
                .table("friend_requests")
                .col(id(manager, "request_id").not_null().primary_key())
                .col(id(manager, "sender_user_id").not_null())
                .col(id(manager, "recipient_user_id").not_null())
                .col(id(manager, "user_low").not_null())
                .col(id(manager, "user_high").not_null())
                .col(integer("created_at"))
                .foreign_key(&mut of_user("friend_requests", "sender_user_id"))
                .foreign_key(&mut of_user("friend_requests", "recipient_user_id"))
                .to_owned(),
            // How often a sender has asked a recipient since `since_at`, also when nothing of it is pending any more.
            Table::create()
                .table("friend_request_tallies")
                .col(id(manager, "sender_user_id").not_null())
                .col(id(manager, "recipient_user_id").not_null())
                .col(integer("requests"))
                .col(integer("since_at"))
                .primary_key(
                    Index::create()
                        .col("sender_user_id")
                        .col("recipient_user_id"),
                )
                .foreign_key(&mut of_user("friend_request_tallies", "sender_user_id"))
                .foreign_key(&mut of_user("friend_request_tallies", "recipient_user_id"))
                .to_owned(),
            Table::create()
                .table("user_blocks")
                .col(id(manager, "user_id").not_null())
                .col(id(manager, "blocked_user_id").not_null())
                .col(integer("created_at"))
                .primary_key(Index::create().col("user_id").col("blocked_user_id"))
                .foreign_key(&mut of_user("user_blocks", "user_id"))
                .foreign_key(&mut of_user("user_blocks", "blocked_user_id"))
                .to_owned(),
        ] {
            manager.create_table(table).await?;
        }
        for index in [
            // One pending request between two people, whichever of them asked.
            Index::create()
                .name("friend_requests_by_pair")
                .table("friend_requests")
                .col("user_low")
                .col("user_high")
                .unique()
                .to_owned(),
            Index::create()
                .name("friend_requests_by_sender")
                .table("friend_requests")
                .col("sender_user_id")
                .col("request_id")
                .to_owned(),
            Index::create()
                .name("friend_requests_by_recipient")
                .table("friend_requests")
                .col("recipient_user_id")
                .col("request_id")
                .to_owned(),
            // The others are for the cascade from an account that is deleted.
            Index::create()
                .name("friendships_by_friend")
                .table("friendships")
                .col("friend_user_id")
                .to_owned(),
            Index::create()
                .name("friend_request_tallies_by_recipient")
                .table("friend_request_tallies")
                .col("recipient_user_id")
                .to_owned(),
            Index::create()
                .name("user_blocks_by_blocked")
                .table("user_blocks")
                .col("blocked_user_id")
                .to_owned(),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [
            "user_blocks",
            "friend_request_tallies",
            "friend_requests",
            "friendships",
        ] {
            manager
                .drop_table(Table::drop().table(Alias::new(table)).to_owned())
                .await?;
        }
        Ok(())
    }
}

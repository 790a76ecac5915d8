//! Reactions: who set which emoji under which message, and what a page of history shows of them.

use sea_orm_migration::prelude::*;

use crate::columns::{id, integer, text};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COLUMNS: [&str; 2] = ["emoji", "last_emoji_place"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // How many distinct emoji are under a message, and the place of the latest. The defaults serve a server of the version before, and
        // keep the statement that stores new messages as it is. SQLite adds one column a statement.
        for column in COLUMNS {
            manager
                .alter_table(
                    Table::alter()
                        .table("messages")
                        .add_column(integer(column).default(0))
                        .to_owned(),
                )
                .await?;
        }
        // One row for each emoji under a message, with all that is shown of it: a page reads a range of the key, however many users
        // have reacted.
        manager
            .create_table(
                Table::create()
                    .table("message_emoji")
                    .col(id(manager, "channel_id").not_null())
                    .col(id(manager, "message_id").not_null())
                    .col(id(manager, "emoji").not_null())
                    .col(integer("place"))
                    .col(integer("count"))
                    .col(integer("last_place"))
                    .col(text("first_user_ids"))
                    .primary_key(
                        Index::create()
                            .col("channel_id")
                            .col("message_id")
                            .col("emoji"),
                    )
                    .to_owned(),
            )
            .await?;
        // The key puts side by side what one user has set in a channel: what they see marked as their own.
        manager
            .create_table(
                Table::create()
                    .table("reactions")
                    .col(id(manager, "channel_id").not_null())
                    .col(id(manager, "user_id").not_null())
                    .col(id(manager, "message_id").not_null())
                    .col(id(manager, "emoji").not_null())
                    .col(integer("place"))
                    .primary_key(
                        Index::create()
                            .col("channel_id")
                            .col("user_id")
                            .col("message_id")
                            .col("emoji"),
                    )
                    .to_owned(),
            )
            .await?;
        // Who was first under a message, and what goes with the message.
        manager
            .create_index(
                Index::create()
                    .name("reactions_by_message")
                    .table("reactions")
                    .col("channel_id")
                    .col("message_id")
                    .col("emoji")
                    .col("place")
                    .unique()
                    .to_owned(),
            )
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["reactions", "message_emoji"] {
            manager
                .drop_table(Table::drop().table(Alias::new(table)).to_owned())
                .await?;
        }
        for column in COLUMNS {
            manager
                .alter_table(
                    Table::alter()
                        .table("messages")
                        .drop_column(column)
                        .to_owned(),
                )
                .await?;
        }
        Ok(())
    }
}

//! What identity needs beyond accounts and log-ins: accounts that are switched off, where a session was opened, pictures, and the request
//! behind an entry of the audit log.

use sea_orm_migration::prelude::*;

use crate::columns::id;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Nullable columns, so that a server of the version before goes on working on this schema.
fn columns(manager: &SchemaManager<'_>) -> Vec<(&'static str, ColumnDef)> {
    let optional_text = |name: &'static str| ColumnDef::new(Alias::new(name)).text().to_owned();
    vec![
        // When the operator switched the account off.
        (
            "users",
            ColumnDef::new("disabled_at_ms").big_integer().to_owned(),
        ),
        // Where the picture's bytes are, as the port `Blobs` knows them.
        ("users", id(manager, "avatar_blob")),
        ("users", id(manager, "banner_blob")),
        // What the client called itself at the log-in.
        ("sessions", optional_text("client")),
        // The network of the address at the log-in, never the whole address.
        ("sessions", optional_text("network")),
        ("audit_log", optional_text("request_id")),
    ]
}

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
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
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

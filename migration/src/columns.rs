//! Columns that every table writes in the same way.

use sea_orm_migration::{prelude::*, sea_orm::DbBackend};

/// A text column that compares by bytes on both databases: ids, and keys made by the server. The order of ULIDs is then the order
/// of their making, and an index needs no locale.
pub fn id(manager: &SchemaManager<'_>, name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(Alias::new(name));
    column.text();
    if manager.get_database_backend() == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

/// A required 64-bit integer: versions, numbers, times in unix milliseconds (`*_at_ms`) or seconds (`*_at`).
pub fn integer(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(Alias::new(name));
    column.big_integer().not_null();
    column
}

/// A required text.
pub fn text(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(Alias::new(name));
    column.text().not_null();
    column
}

/// Deleting a row of `parent` deletes what belongs to it.
pub fn belongs_to(
    table: &'static str,
    columns: &[&'static str],
    parent: &'static str,
    parent_columns: &[&'static str],
) -> ForeignKeyCreateStatement {
    let mut key = ForeignKey::create();
    key.from_tbl(table)
        .to_tbl(parent)
        .on_delete(ForeignKeyAction::Cascade);
    for column in columns {
        key.from_col(*column);
    }
    for column in parent_columns {
        key.to_col(*column);
    }
    key
}

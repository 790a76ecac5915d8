//! The database as modules see it: reads from a pool, writes in transactions that one helper opens.

use std::{future::Future, pin::Pin};

use sea_orm::{
    ActiveModelTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    Insert, RuntimeErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};

use crate::error::ApiError;

/// A transaction that may write.
pub type WriteTx = DatabaseTransaction;

/// What a function passed to [`Database::write`] returns.
pub type TxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// The system of record: SQLite (WAL, one writer) or Postgres, with the same entities and the same SQL.
#[derive(Clone, Debug)]
pub struct Database {
    readers: DatabaseConnection,
    writer: DatabaseConnection,
}

impl Database {
    /// On SQLite `writer` is a pool of one connection; on Postgres both are the same pool.
    pub fn new(readers: DatabaseConnection, writer: DatabaseConnection) -> Self {
        Self { readers, writer }
    }

    /// For reading.
    pub fn read(&self) -> &DatabaseConnection {
        &self.readers
    }

    /// The connection that writes, for the host's migrations. Modules write through [`Database::write`].
    pub fn writer(&self) -> &DatabaseConnection {
        &self.writer
    }

    /// Which of the two it is.
    pub fn backend(&self) -> DbBackend {
        self.readers.get_database_backend()
    }

    /// Opens a transaction for writing. On SQLite it takes the write lock at once: a transaction that reads first and
    /// locks later fails under load. A transaction that is dropped is rolled back.
    ///
    /// # Errors
    /// When the database is away or stays locked for longer than its time-out.
    pub async fn begin(&self) -> Result<WriteTx, DbErr> {
        let sqlite = self.backend() == DbBackend::Sqlite;
        self.writer
            .begin_with_options(TransactionOptions {
                sqlite_transaction_mode: sqlite.then_some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            })
            .await
    }

    /// Runs `work` in one transaction: committed when it answers `Ok`, rolled back when not. For changes that no client
    /// hears of; those that make events go through [`crate::log::EventLog`].
    ///
    /// # Errors
    /// Those of `work`, and the database's.
    pub async fn write<T, F>(&self, work: F) -> Result<T, ApiError>
    where
        F: for<'a> FnOnce(&'a WriteTx) -> TxFuture<'a, T> + Send,
    {
        let tx = self.begin().await?;
        let value = work(&tx).await?;
        tx.commit().await?;
        Ok(value)
    }

    /// Closes all connections; for the host's shutdown.
    ///
    /// # Errors
    /// What the driver says.
    pub async fn close(self) -> Result<(), DbErr> {
        self.readers.close_by_ref().await?;
        self.writer.close_by_ref().await
    }
}

/// Inserts any number of rows with few distinct statements: chunks of 128, 64, … 1 rows, so that the driver's cache of
/// prepared statements holds all of them.
///
/// # Errors
/// The database's, a broken constraint among them.
pub async fn insert_all<M>(tx: &WriteTx, rows: Vec<M>) -> Result<(), DbErr>
where
    M: ActiveModelTrait + Send,
{
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        let size = chunk(rows.len());
        Insert::many(rows.by_ref().take(size))
            .exec_without_returning(tx)
            .await?;
    }
    Ok(())
}

/// The largest power of two that is at most `left` and at most 128; `left` must not be 0.
pub fn chunk(left: usize) -> usize {
    let left = left.clamp(1, 128);
    1 << (usize::BITS - 1 - left.leading_zeros())
}

/// Whether an error means that the database is away, full or does not answer in time, and not that it said no.
pub fn is_unreachable(error: &DbErr) -> bool {
    match error {
        DbErr::Conn(_) | DbErr::ConnectionAcquire(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match &**error {
                sea_orm::SqlxError::Io(_)
                | sea_orm::SqlxError::Tls(_)
                | sea_orm::SqlxError::PoolTimedOut
                | sea_orm::SqlxError::PoolClosed
                | sea_orm::SqlxError::WorkerCrashed => true,
                sea_orm::SqlxError::Database(error) => {
                    error.code().is_some_and(|code| is_passing(&code))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// Whether a database's own error code tells of a state that passes, and not of a fault of the statement.
///
/// PostgreSQL (appendix A): class 08 connection exception, 53 insufficient resources (a full disk among them), 57014 cancelled by a
/// time-out, 57P0x the server shuts down or starts. SQLite (<https://www.sqlite.org/rescode.html>): 5 busy, 6 locked, 10 input or
/// output, 13 full; the low byte of what may be an extended code.
fn is_passing(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57P0", "57014"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    let primary = code.parse::<u32>().map(|code| code & 0xff);
    matches!(primary, Ok(5 | 6 | 10 | 13))
}

/// One entity's table as the code expects it; a test compares it with the migrated schema on both databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityShape {
    /// The table's name.
    pub table: String,
    /// Its columns.
    pub columns: Vec<ColumnShape>,
    /// The names of the primary key's columns, in order.
    pub primary_key: Vec<String>,
}

/// One column of an [`EntityShape`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnShape {
    /// The column's name.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it may be NULL.
    pub nullable: bool,
}

/// What a column holds, as far as both databases can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    Text,
    Integer,
    Boolean,
    Bytes,
    Json,
    Other,
}

impl EntityShape {
    /// Reads the shape off an entity.
    pub fn of<E: EntityTrait>() -> Self {
        use sea_orm::{ColumnTrait, ColumnType, IdenStatic, Iterable, PrimaryKeyToColumn};
        let kind = |column: &ColumnType| match column {
            ColumnType::Char(_) | ColumnType::String(_) | ColumnType::Text => ColumnKind::Text,
            ColumnType::TinyInteger
            | ColumnType::SmallInteger
            | ColumnType::Integer
            | ColumnType::BigInteger => ColumnKind::Integer,
            ColumnType::Boolean => ColumnKind::Boolean,
            ColumnType::Binary(_) | ColumnType::VarBinary(_) | ColumnType::Blob => {
                ColumnKind::Bytes
            }
            ColumnType::Json | ColumnType::JsonBinary => ColumnKind::Json,
            _ => ColumnKind::Other,
        };
        Self {
            table: E::default().table_name().to_string(),
            columns: E::Column::iter()
                .map(|column| {
                    let def = column.def();
                    ColumnShape {
                        name: column.as_str().to_string(),
                        kind: kind(def.get_column_type()),
                        nullable: def.is_null(),
                    }
                })
                .collect(),
            primary_key: E::PrimaryKey::iter()
                .map(|key| key.into_column().as_str().to_string())
                .collect(),
        }
    }
}

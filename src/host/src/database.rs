//! Opening the database: SQLite with one writer, or Postgres, and bringing its schema up to date under a lock.

use std::{path::Path, sync::Arc, time::Duration};

use filament_kernel::db::Database;
use sea_orm::sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions,
};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, TransactionTrait,
};
use tracing::info;

use crate::config::host::Database as Settings;

/// What the host needs of the migrations, without knowing them. The binary hands it in.
#[async_trait::async_trait]
pub trait Schema: Send + Sync + 'static {
    /// Applies what is missing.
    async fn up(&self, db: &DatabaseConnection) -> Result<(), DbErr>;

    /// The names of all migrations, in order; needs no database.
    fn names(&self) -> Vec<String>;

    /// All migrations in order, each with whether it is applied.
    async fn status(&self, db: &DatabaseConnection) -> Result<Vec<(String, bool)>, DbErr>;
}

/// Connects to `url`: `sqlite://<path>`, the path as it is, or `postgres://…`.
///
/// # Errors
/// When the database cannot be reached within the connect time-out, or the file cannot be opened.
pub async fn connect(url: &str, settings: &Settings) -> Result<Database, DbErr> {
    if let Some(path) = sqlite_file(url) {
        connect_sqlite(path, settings).await
    } else {
        let timeout = STATEMENT_TIMEOUT.as_millis().to_string();
        let server = postgres(url)?
            .application_name("filament-server")
            .options([("statement_timeout", timeout)]);
        reach(&server, settings).await?;
        let pool = sea_orm::Database::connect(postgres_pool(server, settings)).await?;
        Ok(Database::new(pool.clone(), pool))
    }
}

/// The file of a SQLite URL.
pub fn sqlite_file(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite://")?;
    Some(Path::new(path.strip_suffix("?mode=rwc").unwrap_or(path)))
}

/// What a URL says, for the driver.
fn postgres(url: &str) -> Result<PgConnectOptions, DbErr> {
    let server: PgConnectOptions = url
        .parse()
        .map_err(|error| failed(format!("the URL cannot be read: {error}")))?;
    Ok(server.disable_statement_logging())
}

fn failed(why: String) -> DbErr {
    DbErr::Custom(format!("{why} (see database.url)"))
}

/// Connects once, for the sake of the error: the pool's would only say that it waited.
async fn reach(server: &PgConnectOptions, settings: &Settings) -> Result<(), DbErr> {
    let timeout = settings.connect_timeout();
    match tokio::time::timeout(timeout, PgConnection::connect_with(server)).await {
        Ok(Ok(connection)) => {
            let _ = connection.close().await;
            Ok(())
        }
        Ok(Err(error)) => Err(failed(format!("Postgres cannot be reached: {error}"))),
        Err(_) => Err(failed(format!(
            "Postgres did not answer within {} s",
            timeout.as_secs()
        ))),
    }
}

/// No statement of ours takes longer; one that does is stuck. Keeps a stalled Postgres from holding requests for ever.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(8);

fn pool(url: &str, settings: &Settings) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .sqlx_logging(false)
        .max_connections(settings.max_connections)
        .connect_timeout(settings.connect_timeout())
        .acquire_timeout(settings.acquire_timeout())
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(Duration::from_secs(5));
    options
}

fn postgres_pool(server: PgConnectOptions, settings: &Settings) -> ConnectOptions {
    // sea-orm writes the URL into its traces, with the password in it: what it says is given by itself.
    let mut options = pool("postgres://", settings);
    options.map_sqlx_postgres_opts(move |_| server.clone());
    options
}

async fn connect_sqlite(path: &Path, settings: &Settings) -> Result<Database, DbErr> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| DbErr::Custom(format!("cannot create {}: {e}", folder.display())))?;
    }
    // The writer comes first: it creates the file and turns WAL on, which needs the file for itself.
    let writer = sea_orm::Database::connect(sqlite(path, settings, 1)).await?;
    let readers =
        sea_orm::Database::connect(sqlite(path, settings, settings.max_connections)).await?;
    Ok(Database::new(readers, writer))
}

fn sqlite(path: &Path, settings: &Settings, connections: u32) -> ConnectOptions {
    // The path is given by itself: in a URL some of its characters would mean something.
    let mut options = pool("sqlite://", settings);
    let file = path.to_path_buf();
    let busy = settings.acquire_timeout();
    options
        .max_connections(connections)
        .idle_timeout(None::<Duration>)
        .max_lifetime(None::<Duration>)
        .map_sqlx_sqlite_pool_opts(|options| {
            // When a commit fails (a full disk), SQLite may roll back by itself; the driver then miscounts, and every later commit would
            // be one of a transaction within a transaction that never ends. Such a connection is not used again.
            options.after_release(|connection, _| {
                Box::pin(async move {
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        })
        .map_sqlx_sqlite_opts(move |options| {
            options
                .filename(&file)
                .create_if_missing(true)
                .busy_timeout(busy)
                .foreign_keys(true)
                .pragma("journal_mode", "WAL")
                // FULL: a commit is on the disk before it is acknowledged, as in Postgres by default.
                .pragma("synchronous", "FULL")
                .pragma("cache_size", "-16000")
                .pragma("temp_store", "MEMORY")
        });
    options
}

/// Held while migrations run, so that of several servers that start at once one migrates and the others wait.
/// The number is arbitrary; it must stay the same.
const MIGRATION_LOCK: i64 = 0x6669_6c61_6d65_6e74;

/// Applies the missing migrations of the database at `url`, to which `db` is connected. On SQLite the caller holds the data folder's
/// lock.
///
/// # Errors
/// Those of the migration that failed.
pub async fn migrate(
    db: &Database,
    url: &str,
    settings: &Settings,
    schema: &Arc<dyn Schema>,
) -> Result<(), DbErr> {
    if db.backend() != DbBackend::Postgres {
        return apply_missing(db.writer(), schema).await;
    }
    // One connection holds the lock and another migrates; both without the time-out of statements, as a migration may take long and
    // another server waits for it as long. The lock lives in a transaction: ending it, however it ends, releases the lock.
    let server = postgres(url)?.application_name("filament-server migrate");
    let mut options = postgres_pool(server, settings);
    options.max_connections(2);
    let own = sea_orm::Database::connect(options).await?;
    let lock = own.begin().await?;
    lock.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        .await?;
    let applied = apply_missing(&own, schema).await;
    lock.commit().await?;
    own.close().await?;
    applied
}

async fn apply_missing(db: &DatabaseConnection, schema: &Arc<dyn Schema>) -> Result<(), DbErr> {
    let status = schema.status(db).await?;
    let missing = status.iter().filter(|(_, applied)| !applied).count();
    if missing > 0 {
        info!(missing, "migrating the database");
        schema.up(db).await?;
    }
    Ok(())
}

/// Whether the database answers.
///
/// # Errors
/// Why it does not.
pub async fn ping(db: &Database) -> Result<(), DbErr> {
    db.read().execute_unprepared("SELECT 1").await.map(|_| ())
}

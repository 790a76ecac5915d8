//! A world for the crate's own tests: a migrated SQLite database, and changes that are applied without a host.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use filament_kernel::{
    ApiError, Required,
    audit::{Audit, AuditEntry},
    clock::Clock,
    config::Section,
    db::{Database, WriteTx},
    gateway::Gateway,
    id::{ChannelId, GuildId, Ids, SessionId, UserId},
    log::{Change, EventLog, LogBackend, LoggedEvent, NewEvent, PendingChange, Stream, Topic},
    module::Host,
    ports::{Account, Accounts},
    scope::ScopeOwner,
};
use filament_migration::{Migrator, MigratorTrait};

use crate::{
    Config,
    access::Membership,
    changes,
    domain::{channel::ChannelKind, guild::Visibility},
    state::State,
};

pub(crate) struct World {
    pub(crate) state: Arc<State>,
    log: Arc<Log>,
    _scope: ScopeOwner,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
        let mut options = sea_orm::ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let connection = sea_orm::Database::connect(options).await.expect("a database");
        Migrator::up(&connection, None).await.expect("migrates");
        let db = Database::new(connection.clone(), connection);
        let log = Arc::new(Log(db.clone()));
        let host = Host {
            log: EventLog::new(log.clone()),
            db,
            gateway: Arc::new(Nobody),
            audit: Arc::new(Nobody),
            clock: Clock::default(),
            ids: Arc::new(Ids::default()),
            data_dir: PathBuf::new(),
        };
        let scope = ScopeOwner::new(|_| {});
        let state = State::new(defaults(), host, scope.scope(), Required::new(Arc::new(Nobody)));
        Self {
            state: Arc::new(state),
            log,
            _scope: scope,
            _folder: folder,
        }
    }
}

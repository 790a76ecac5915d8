//! A world for the crate's own tests: a migrated SQLite database, a log that writes one change at a time, and
//! nobody on the gateway.

use std::{path::PathBuf, sync::Arc};

use filament_kernel::{
    ApiError, Required,
    audit::{Audit, AuditEntry, AuditRecord},
    clock::Clock,
    config::Section,
    db::{Database, WriteTx},
    gateway::Gateway,
    http::Origin,
    id::{AuditId, ChannelId, GuildId, Ids, SessionId, UserId},
    kept::Kept,
    log::{Change, EventLog, LogBackend, LoggedEvent, NewEvent, PendingChange, Stream, Topic},
    module::Host,
    ports::{Account, Accounts},
    scope::ScopeOwner,
};
use filament_migration::{Migrator, MigratorTrait};
use tokio::sync::mpsc;

use crate::{
    Config,
    access::{Actor, ChannelAccess, PostAccess},
    changes,
    domain::{act::Act, channel::ChannelKind, guild::Visibility},
    state::State,
};

pub(crate) struct World {
    pub(crate) state: Arc<State>,
    _scope: ScopeOwner,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
        let mut options = sea_orm::ConnectOptions::new(url);
        options.max_connections(1).sqlx_logging(false);
        let connection = sea_orm::Database::connect(options)
            .await
            .expect("a database");
        Migrator::up(&connection, None).await.expect("migrates");
        let db = Database::new(connection.clone(), connection);

        let scope = ScopeOwner::new(|_| {});
        scope.start();
        let (queue, changes) = mpsc::unbounded_channel();
        scope.scope().task("log", write_all(db.clone(), changes));
        let host = Host {
            log: EventLog::new(Arc::new(Queue(queue))),
            db,
            gateway: Arc::new(Nobody),
            audit: Arc::new(Nobody),
            clock: Clock::default(),
            ids: Arc::new(Ids::default()),
            kept: Kept::default(),
            data_dir: PathBuf::new(),
        };
        let accounts = Required::new(Arc::new(Nobody) as Arc<dyn Accounts>);
        let state = Arc::new(State::new(
            Arc::new(defaults()),
            host,
            scope.scope(),
            accounts,
        ));
        Self {
            state,
            _scope: scope,
            _folder: folder,
        }
    }

    pub(crate) fn user(&self) -> UserId {
        self.state.host.ids.next()
    }

    pub(crate) async fn guild(&self, owner: UserId, visibility: Visibility) -> GuildId {
        changes::guild_create(&self.state, owner, "Guild".into(), visibility)
            .await
            .expect("a guild")
            .guild_id
    }

    pub(crate) async fn join(&self, guild: GuildId, user: UserId) {
        changes::guild_join(&self.state, user, origin(), guild)
            .await
            .expect("joins");
    }

    pub(crate) async fn channel(&self, guild: GuildId, owner: UserId) -> ChannelAccess {
        let actor = self.actor(guild, owner, Act::ChannelCreate).await;
        let (name, topic) = ("channel".into(), String::new());
        let channel = changes::channel_create(&self.state, actor, name, ChannelKind::Text, topic)
            .await
            .expect("a channel");
        ChannelAccess::of(&self.state, owner, guild, channel.channel_id)
            .await
            .expect("its maker sees it")
    }

    /// A member who may do something.
    pub(crate) async fn actor(&self, guild: GuildId, user: UserId, act: Act) -> Actor {
        Actor::of(&self.state, user, guild, act, origin())
            .await
            .expect("may do it")
    }

    pub(crate) async fn post_access(
        &self,
        guild: GuildId,
        user: UserId,
        channel: ChannelId,
    ) -> PostAccess {
        let here = origin().client_ip;
        PostAccess::of(&self.state, user, here, guild, channel)
            .await
            .expect("may write")
    }

    /// Makes changes in one transaction, without the log.
    pub(crate) async fn batch<C: Change>(
        &self,
        changes: Vec<C>,
    ) -> (Vec<C::Output>, Vec<NewEvent>) {
        let tx = self.state.host.db.begin().await.expect("begins");
        let (mut outputs, mut events) = (Vec::new(), Vec::new());
        for part in changes.chunks(C::BATCH) {
            let part: Vec<&C> = part.iter().collect();
            for applied in C::apply(&part, &tx).await.expect("applies") {
                outputs.push(applied.output);
                events.extend(applied.events);
            }
        }
        tx.commit().await.expect("commits");
        for (change, output) in changes.iter().zip(&outputs) {
            change.committed(output);
        }
        (outputs, events)
    }

    /// Makes one change, without the log.
    pub(crate) async fn change<C: Change>(&self, change: C) -> (C::Output, Vec<NewEvent>) {
        let (mut outputs, events) = self.batch(vec![change]).await;
        (outputs.remove(0), events)
    }
}

fn origin() -> Origin {
    Origin {
        request_id: "request".into(),
        client_ip: std::net::Ipv4Addr::LOCALHOST.into(),
        client: None,
    }
}

/// The section as it stands in `config.default.toml`, where every value is a number.
fn defaults() -> Config {
    let keys: serde_json::Map<String, serde_json::Value> = Config::DEFAULTS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, value)| (key.to_string(), value.parse().expect("a number")))
        .collect();
    serde_json::from_value(keys.into()).expect("the section's keys")
}

struct Queue(mpsc::UnboundedSender<Box<dyn PendingChange>>);

#[async_trait::async_trait]
impl LogBackend for Queue {
    fn enqueue(&self, change: Box<dyn PendingChange>) -> Result<(), Box<dyn PendingChange>> {
        self.0.send(change).map_err(|refused| refused.0)
    }

    async fn read(&self, _: Stream, _: i64, _: u64) -> Result<Vec<LoggedEvent>, ApiError> {
        Ok(Vec::new())
    }

    async fn head(&self, _: Stream) -> Result<i64, ApiError> {
        Ok(0)
    }
}

async fn write_all(db: Database, mut changes: mpsc::UnboundedReceiver<Box<dyn PendingChange>>) {
    while let Some(change) = changes.recv().await {
        let tx = db.begin().await.expect("begins");
        match change.apply(&[&*change], &tx).await {
            Ok(mut applied) => {
                tx.commit().await.expect("commits");
                let output = applied.remove(0).output;
                change.succeed(output);
            }
            Err(error) => change.fail(error),
        }
    }
}

/// Knows no account, hears nothing, records nothing.
struct Nobody;

impl Gateway for Nobody {
    fn publish(&self, _: Topic, _: &'static str, _: &str, _: Option<UserId>) {}

    fn send_to_user(&self, _: UserId, _: &'static str, _: &str) {}

    fn followers(&self, _: Stream, _: usize) -> Vec<UserId> {
        Vec::new()
    }

    fn is_online(&self, _: UserId) -> bool {
        false
    }

    fn end_session(&self, _: SessionId, _: &str) {}
}

#[async_trait::async_trait]
impl Audit for Nobody {
    async fn record(&self, _: &WriteTx, _: AuditEntry) -> Result<(), ApiError> {
        Ok(())
    }

    async fn of_guild(
        &self,
        _: GuildId,
        _: Option<AuditId>,
        _: Option<&str>,
        _: u64,
    ) -> Result<Vec<AuditRecord>, ApiError> {
        Ok(Vec::new())
    }
}

#[async_trait::async_trait]
impl Accounts for Nobody {
    async fn accounts(&self, _: &[UserId]) -> Result<Vec<Account>, ApiError> {
        Ok(Vec::new())
    }

    async fn accounts_in(&self, _: &WriteTx, _: &[UserId]) -> Result<Vec<Account>, ApiError> {
        Ok(Vec::new())
    }
}

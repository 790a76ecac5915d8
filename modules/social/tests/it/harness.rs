//! A server with nothing on it but the module.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use filament_kernel::{
    ApiError, Caller,
    audit::{Audit, AuditEntry, AuditRecord},
    clock::Clock,
    config::Section,
    db::{Database, WriteTx},
    gateway::Gateway,
    http::RequestContext,
    id::{AuditId, GuildId, Ids, SessionId, UserId},
    kept::Kept,
    log::{EventLog, LogBackend, LoggedEvent, NewEvent, PendingChange, Stream, Topic},
    module::{Context, Erased, Health, Host, Module, Routes},
    ports::{Account, Accounts, Authenticator, Friends, TokenKeyId},
    scope::ScopeOwner,
    service::{CurrentServices, Provided, ServiceTable},
};
use filament_migration::{Migrator, MigratorTrait};
use filament_social::{Config, Social};
use filament_test_support::{Backend, TestDatabase};
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Request,
    endpoint::BoxEndpoint,
    http::{Method, StatusCode, Uri},
};
use poem_openapi::{
    OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};
use sea_orm::{ConnectOptions, ConnectionTrait};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// What a JSON answer stays within.
pub(crate) const MAX_JSON_BYTES: usize = 64 * 1024;

/// The id of every request here.
pub(crate) const REQUEST_ID: &str = "test-request";

/// A refusal: its status, its code and its message.
pub(crate) type Refusal = (u16, &'static str, String);

/// A good answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// `null` where it is empty.
    pub(crate) body: Value,
    pub(crate) bytes: usize,
}

/// The module, as the host holds it, with accounts to use it.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) audit: Arc<AuditTrail>,
    friends: Arc<dyn Friends>,
    db: Database,
    events: Arc<Mutex<Vec<NewEvent>>>,
    people: Arc<People>,
    routes: BoxEndpoint<'static>,
    services: Arc<ServiceTable>,
    ids: Arc<Ids>,
    _owner: ScopeOwner,
    _database: TestDatabase,
}

impl World {
    /// With the defaults, except that one may ask and block as often as one likes.
    pub(crate) async fn new(backend: Backend) -> Self {
        Self::with(backend, |_| {}).await
    }

    pub(crate) async fn with(backend: Backend, change: impl FnOnce(&mut Config)) -> Self {
        let database = backend
            .database()
            .await
            .expect("installed, or the test would not run");
        let db = connect(backend, &database.url).await;
        let mut config: Config =
            toml::from_str(Config::DEFAULTS).expect("the defaults are a section");
        config.friend_requests_per_minute_per_user = 1_000_000;
        config.block_changes_per_minute_per_user = 1_000_000;
        change(&mut config);

        let people = Arc::new(People::default());
        let accounts: Arc<dyn Accounts> = people.clone();
        let authenticator: Arc<dyn Authenticator> = people.clone();
        let services = Arc::new(ServiceTable::new([
            Provided::new("auth", accounts),
            Provided::new("auth", authenticator),
        ]));
        let owner = ScopeOwner::new(|panic| panic!("a task panicked: {panic:?}"));
        let events = Arc::<Mutex<Vec<NewEvent>>>::default();
        let (queue, changes) = mpsc::unbounded_channel();
        owner
            .scope()
            .task("log", write_all(db.clone(), changes, events.clone()));
        let (clock, ids) = (Clock::default(), Arc::<Ids>::default());
        let audit = Arc::new(AuditTrail::default());
        let context = Context {
            config: Arc::new(config),
            host: Host {
                db: db.clone(),
                log: EventLog::new(Arc::new(Queue(queue))),
                gateway: Arc::new(Nobody),
                audit: audit.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                kept: Kept::default(),
                data_dir: std::path::PathBuf::new(),
            },
            scope: owner.scope(),
            health: Health::default(),
            prepared: services.clone(),
            current: Arc::new(Nobody),
        };
        let instance = Social::prepare(context).await.expect("it comes up");
        owner.start();
        let Erased { routes, parts } = instance.into();
        let provided = parts
            .services
            .into_iter()
            .map(|(_, provide)| provide(Social::MANIFEST.id));
        let friends = ServiceTable::new(provided)
            .get::<dyn Friends>()
            .expect("provided")
            .clone();
        let routes = OpenApiService::new(Routed(routes), "", "")
            .into_endpoint()
            .boxed();
        Self {
            clock,
            audit,
            friends,
            db,
            events,
            people,
            routes,
            services,
            ids,
            _owner: owner,
            _database: database,
        }
    }

    /// Somebody with an account.
    pub(crate) async fn person(&self, name: &str) -> UserId {
        let id: UserId = self.ids.next();
        let account = format!(
            "INSERT INTO users (user_id, username, username_key, password_hash, about_markdown, avatar_version, banner_version, \
             created_at_ms) VALUES ('{id}', '{name}', '{name}', '', '', 0, 0, 0)"
        );
        self.sql(&account).await;
        self.people.names().insert(id, name.to_owned());
        id
    }

    /// Many people whose names are as long as names can be.
    pub(crate) async fn crowd(&self, count: usize) -> Vec<UserId> {
        let mut crowd = Vec::with_capacity(count);
        for _ in 0..count {
            let number = self.people.names().len();
            crowd.push(self.person(&format!("{number:0>32}")).await);
        }
        crowd
    }

    /// Deletes an account.
    pub(crate) async fn delete_account(&self, user: UserId) {
        self.delete_account_after_it_was_looked_up(user).await;
        self.people.names().remove(&user);
    }

    /// Deletes an account that a look-up just before still found.
    pub(crate) async fn delete_account_after_it_was_looked_up(&self, user: UserId) {
        let delete = format!("DELETE FROM users WHERE user_id = '{user}'");
        self.sql(&delete).await;
    }

    async fn sql(&self, statement: &str) {
        let done = self.db.writer().execute_unprepared(statement).await;
        done.unwrap_or_else(|error| panic!("{error} in {statement}"));
    }

    /// How many rows a table has.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let query = format!("SELECT COUNT(*) AS rows FROM {table}");
        let statement = sea_orm::Statement::from_string(self.db.backend(), query);
        let row = self.db.read().query_one_raw(statement).await;
        row.expect("an answer")
            .expect("a row")
            .try_get("", "rows")
            .expect("a number")
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// What one user has been told, oldest first.
    pub(crate) fn told(&self, user: UserId) -> Vec<(&'static str, Value)> {
        let events = self.events.lock().expect("not poisoned");
        events
            .iter()
            .filter(|event| event.topic == Topic::from(Stream::User(user)))
            .map(|event| {
                let data = serde_json::from_str(&event.data).expect("JSON");
                (event.name, data)
            })
            .collect()
    }

    /// How many events there were.
    pub(crate) fn events(&self) -> usize {
        self.events.lock().expect("not poisoned").len()
    }

    pub(crate) async fn call(
        &self,
        who: UserId,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Answer, Refusal> {
        let request = Request::builder()
            .method(method)
            .uri(Uri::try_from(path).expect("a path"))
            .header("authorization", format!("Bearer {who}"));
        let mut request = match body {
            Some(body) => request
                .content_type("application/json")
                .body(body.to_string()),
            None => request.finish(),
        };
        request.extensions_mut().insert(Arc::new(RequestContext {
            request_id: REQUEST_ID.to_string(),
            client_ip: [127, 0, 0, 1].into(),
            services: self.services.clone(),
            generation: 1,
        }));
        match self.routes.call(request).await {
            Ok(response) => {
                let status = response.status();
                let bytes = response.into_body().into_vec().await.expect("a body");
                Ok(Answer {
                    status,
                    body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
                    bytes: bytes.len(),
                })
            }
            Err(error) => {
                let error: ApiError = error.downcast().expect("an error of ours");
                let code = error.code();
                Err((code.status, code.word, error.message().to_string()))
            }
        }
    }

    pub(crate) async fn get(&self, who: UserId, path: &str) -> Answer {
        let answer = self.call(who, Method::GET, path, None).await;
        let answer = answer.expect("lists are never refused");
        assert!(answer.bytes <= MAX_JSON_BYTES, "{} bytes", answer.bytes);
        answer
    }

    /// Asks for a friendship, and answers the request.
    pub(crate) async fn ask(&self, who: UserId, whom: UserId) -> Result<Value, Refusal> {
        let body = json!({ "recipient_user_id": whom });
        self.call(who, Method::POST, "/friends/requests", Some(body))
            .await
            .map(|answer| answer.body)
    }

    pub(crate) async fn accept(&self, who: UserId, request: &Value) -> Result<(), Refusal> {
        let path = format!("/friends/requests/{}/accept", id_of(request));
        let answer = self.call(who, Method::POST, &path, None).await?;
        assert_eq!(answer.body, json!({ "accepted": true }));
        Ok(())
    }

    pub(crate) async fn decline(&self, who: UserId, request: &Value) -> Result<(), Refusal> {
        let path = format!("/friends/requests/{}", id_of(request));
        self.done(who, Method::DELETE, &path).await
    }

    pub(crate) async fn befriend(&self, one: UserId, other: UserId) {
        let request = self.ask(one, other).await.expect("asked");
        self.accept(other, &request).await.expect("accepted");
    }

    pub(crate) async fn unfriend(&self, who: UserId, whom: UserId) -> Result<(), Refusal> {
        let path = format!("/friends/{whom}");
        self.done(who, Method::DELETE, &path).await
    }

    pub(crate) async fn block(&self, who: UserId, whom: UserId) -> Result<(), Refusal> {
        self.done(who, Method::POST, &format!("/blocks/{whom}"))
            .await
    }

    pub(crate) async fn unblock(&self, who: UserId, whom: UserId) -> Result<(), Refusal> {
        self.done(who, Method::DELETE, &format!("/blocks/{whom}"))
            .await
    }

    async fn done(&self, who: UserId, method: Method, path: &str) -> Result<(), Refusal> {
        let answer = self.call(who, method, path, None).await?;
        assert_eq!((answer.status, answer.bytes), (StatusCode::NO_CONTENT, 0));
        Ok(())
    }

    /// A user's friends, as other modules get them.
    pub(crate) async fn port_friends_of(&self, who: UserId) -> Vec<UserId> {
        let tx = self.db.begin().await.expect("begins");
        self.friends.friends_of(&tx, who).await.expect("the port")
    }

    /// `who` has blocked `whom`, beside whatever there is between the two: what another server may have done in the same moment.
    pub(crate) async fn block_beside(&self, who: UserId, whom: UserId) {
        let block = format!(
            "INSERT INTO user_blocks (user_id, blocked_user_id, created_at) VALUES ('{who}', '{whom}', 0)"
        );
        self.sql(&block).await;
    }

    /// The ids of a user's friends, in the order of the list.
    pub(crate) async fn friends_of(&self, who: UserId) -> Vec<UserId> {
        users(&self.get(who, "/friends").await.body["friends"])
    }
}

/// The `user_id` of every entry.
pub(crate) fn users(list: &Value) -> Vec<UserId> {
    let list = list.as_array().expect("a list");
    list.iter().map(|entry| id(&entry["user_id"])).collect()
}

fn id(value: &Value) -> UserId {
    serde_json::from_value(value.clone()).expect("an id")
}

fn id_of(request: &Value) -> &str {
    request["request_id"].as_str().expect("a request")
}

/// The routes behind poem-openapi's own service: its query parameters need what that puts into a request.
struct Routed(Routes);

impl OpenApi for Routed {
    fn meta() -> Vec<MetaApi> {
        Vec::new()
    }

    fn register(_: &mut Registry) {}

    fn add_routes(self, table: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        for (path, methods) in self.0 {
            let methods = methods
                .into_iter()
                .map(|(method, endpoint)| (method, endpoint.boxed()));
            table.entry(path).or_default().extend(methods);
        }
    }
}

async fn connect(backend: Backend, url: &str) -> Database {
    let connect = async |connections| {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(connections)
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(|options| {
                options
                    .foreign_keys(true)
                    .busy_timeout(Duration::from_secs(5))
                    .pragma("journal_mode", "WAL")
                    .pragma("synchronous", "OFF")
            });
        sea_orm::Database::connect(options)
            .await
            .expect("a connection")
    };
    let writer = connect(if backend == Backend::Sqlite { 1 } else { 4 }).await;
    let readers = connect(4).await;
    Migrator::up(&writer, None).await.expect("the schema");
    Database::new(readers, writer)
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

async fn write_all(
    db: Database,
    mut changes: mpsc::UnboundedReceiver<Box<dyn PendingChange>>,
    events: Arc<Mutex<Vec<NewEvent>>>,
) {
    while let Some(change) = changes.recv().await {
        let tx = db.begin().await.expect("begins");
        match change.apply(&[&*change], &tx).await {
            Ok(mut applied) => {
                tx.commit().await.expect("commits");
                let applied = applied.remove(0);
                events.lock().expect("not poisoned").extend(applied.events);
                change.succeed(applied.output);
            }
            Err(error) => {
                tx.rollback().await.expect("rolls back");
                change.fail(error);
            }
        }
    }
}

/// The accounts; a token is the id of its user.
#[derive(Default)]
struct People(Mutex<HashMap<UserId, String>>);

impl People {
    fn names(&self) -> std::sync::MutexGuard<'_, HashMap<UserId, String>> {
        self.0.lock().expect("not poisoned")
    }
}

#[async_trait::async_trait]
impl Accounts for People {
    async fn accounts(&self, ids: &[UserId]) -> Result<Vec<Account>, ApiError> {
        let names = self.names();
        let known = ids.iter().filter_map(|id| {
            Some(Account {
                user_id: *id,
                username: names.get(id)?.clone(),
                avatar_version: 0,
            })
        });
        Ok(known.collect())
    }

    async fn accounts_in(&self, _: &WriteTx, ids: &[UserId]) -> Result<Vec<Account>, ApiError> {
        self.accounts(ids).await
    }
}

#[async_trait::async_trait]
impl Authenticator for People {
    async fn authenticate(&self, access_token: &str) -> Result<Caller, ApiError> {
        let user_id = access_token
            .parse()
            .map_err(|_| ApiError::unauthenticated())?;
        let session_id = SessionId::from(UserId::ulid(user_id));
        Ok(Caller {
            user_id,
            session_id,
            key: TokenKeyId::default(),
        })
    }

    fn trusts(&self, _: TokenKeyId) -> bool {
        true
    }
}

/// Remembers what was recorded.
#[derive(Default)]
pub(crate) struct AuditTrail(Mutex<Vec<AuditEntry>>);

impl AuditTrail {
    /// What, by whom, to whom, by which request.
    pub(crate) fn entries(&self) -> Vec<(&'static str, UserId, UserId, String)> {
        let entries = self.0.lock().expect("not poisoned");
        entries
            .iter()
            .map(|entry| {
                (
                    entry.action,
                    entry.actor.expect("a person"),
                    entry.target.expect("another person"),
                    entry.request_id.as_deref().unwrap_or_default().to_owned(),
                )
            })
            .collect()
    }
}

#[async_trait::async_trait]
impl Audit for AuditTrail {
    async fn record(&self, _tx: &WriteTx, entry: AuditEntry) -> Result<(), ApiError> {
        self.0.lock().expect("not poisoned").push(entry);
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

/// The parts of a host that the module does not use.
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

impl CurrentServices for Nobody {
    fn current(&self) -> Arc<ServiceTable> {
        Arc::default()
    }
}

//! A server with nothing on it but the module.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use filament_auth::{Auth, Config};
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
    log::{EventLog, Stream, Topic},
    module::{Context, EndpointRef, Erased, Health, Host, Module, Routes},
    operator::{Asked, OperatorCommand},
    ports::{Accounts, Authenticator},
    scope::ScopeOwner,
    service::ServiceTable,
};
use filament_migration::{Migrator, MigratorTrait};
use filament_test_support::{Backend, TestDatabase};
use poem::{
    Endpoint, Request, Route, RouteMethod,
    http::{Method, StatusCode, Uri},
};
use sea_orm::{ConnectOptions, DbErr};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ports::{Ports, WritingLog};

/// A password that follows the rules.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// What servers share: a database, a data folder and the time.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) data: Arc<TempDir>,
    /// What other modules provide.
    pub(crate) ports: Ports,
    ids: Arc<Ids>,
    _database: TestDatabase,
}

impl Site {
    pub(crate) async fn new(backend: Backend) -> Self {
        let database = backend
            .database()
            .await
            .expect("installed, or the test would not run");
        let connect = async |connections| {
            let mut options = ConnectOptions::new(&database.url);
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
        let writer = connect(if backend == Backend::Sqlite { 1 } else { 8 }).await;
        let readers = connect(4).await;
        Migrator::up(&writer, None).await.expect("the schema");
        Self {
            db: Database::new(readers, writer),
            clock: Clock::default(),
            data: Arc::new(tempfile::tempdir().expect("a folder")),
            ports: Ports::default(),
            ids: Arc::default(),
            _database: database,
        }
    }

    /// A server with the defaults, except that hashing is cheap.
    pub(crate) async fn server(&self) -> Server {
        self.server_with(|_| {}).await
    }

    pub(crate) async fn server_with(&self, change: impl FnOnce(&mut Config)) -> Server {
        let mut config: Config =
            toml::from_str(Config::DEFAULTS).expect("the defaults are a section");
        config.argon2_memory_kib = 64;
        config.argon2_iterations = 1;
        config.hash_queue = 1_000;
        change(&mut config);

        let gateway = Arc::new(Sockets::default());
        let log = Arc::new(WritingLog::new(self.db.clone()));
        let audit = Arc::new(AuditTrail::default());
        let owner = ScopeOwner::new(|panic| panic!("a task panicked: {panic:?}"));
        let context = Context {
            config: Arc::new(config),
            host: Host {
                db: self.db.clone(),
                log: EventLog::new(log.clone()),
                gateway: gateway.clone(),
                audit: audit.clone(),
                clock: self.clock.clone(),
                ids: self.ids.clone(),
                kept: Kept::default(),
                data_dir: self.data.path().to_path_buf(),
            },
            scope: owner.scope(),
            health: Health::default(),
            prepared: Arc::default(),
            current: Arc::new(self.ports.clone()),
        };
        let instance = Auth::prepare(context).await.expect("it comes up");
        let Erased { routes, parts } = instance.into();
        let provided = parts
            .services
            .into_iter()
            .map(|(_, provide)| provide(Auth::MANIFEST.id));
        Server {
            router: router(routes),
            operator: parts.operator_commands,
            services: Arc::new(ServiceTable::new(provided)),
            gateway,
            log,
            audit,
            owner,
            _site: self.clone(),
        }
    }

    /// The id of somebody without an account.
    pub(crate) fn stranger(&self) -> UserId {
        self.ids.next()
    }

    pub(crate) fn later(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn router(routes: Routes) -> Route {
    struct Shared(EndpointRef);

    impl Endpoint for Shared {
        type Output = poem::Response;

        async fn call(&self, request: Request) -> poem::Result<Self::Output> {
            self.0.call(request).await
        }
    }

    routes
        .into_iter()
        .fold(Route::new(), |router, (path, methods)| {
            let methods = methods
                .into_iter()
                .fold(RouteMethod::new(), |all, (method, endpoint)| {
                    all.method(method, Shared(endpoint))
                });
            router.at(path, methods)
        })
}

/// The module, as the host holds it.
pub(crate) struct Server {
    router: Route,
    operator: HashMap<&'static str, Arc<dyn OperatorCommand>>,
    pub(crate) services: Arc<ServiceTable>,
    pub(crate) gateway: Arc<Sockets>,
    pub(crate) log: Arc<WritingLog>,
    pub(crate) audit: Arc<AuditTrail>,
    owner: ScopeOwner,
    _site: Site,
}

/// Tokens, as a client keeps them.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
    pub(crate) expires_in_secs: u64,
}

impl Session {
    pub(crate) fn id(&self) -> SessionId {
        let (id, _) = self
            .refresh_token
            .split_once('.')
            .expect("an id and a secret");
        id.parse().expect("an id")
    }
}

/// Where requests come from when a test does not say.
pub(crate) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A refusal: its status, its code and its message.
pub(crate) type Refusal = (u16, &'static str, String);

impl Server {
    /// It goes live: its tasks start.
    pub(crate) fn start(self) -> Self {
        self.owner.start();
        self
    }

    /// Answers with the body, `null` where it is empty.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Refusal> {
        self.call_from(HOME, None, method, path, token, body).await
    }

    /// The same from an address, by a client that calls itself something.
    pub(crate) async fn call_from(
        &self,
        client_ip: IpAddr,
        client: Option<&str>,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), Refusal> {
        let mut request = Request::builder()
            .method(method)
            .uri(Uri::try_from(path).expect("a path"));
        if let Some(client) = client {
            request = request.header("user-agent", client);
        }
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => request
                .content_type("application/json")
                .body(body.to_string()),
            None => request.finish(),
        };
        self.send(client_ip, request).await
    }

    /// Sends bytes that are no JSON, without saying what they are.
    pub(crate) async fn upload(
        &self,
        path: &str,
        token: &str,
        bytes: &'static [u8],
    ) -> Result<(StatusCode, Value), Refusal> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(Uri::try_from(path).expect("a path"))
            .header("authorization", format!("Bearer {token}"))
            .body(bytes);
        self.send(HOME, request).await
    }

    async fn send(
        &self,
        client_ip: IpAddr,
        mut request: Request,
    ) -> Result<(StatusCode, Value), Refusal> {
        request.extensions_mut().insert(Arc::new(RequestContext {
            request_id: "test".to_string(),
            client_ip,
            services: self.services.clone(),
            generation: 1,
        }));
        match self.router.call(request).await {
            Ok(response) => {
                let status = response.status();
                let bytes = response.into_body().into_vec().await.expect("a body");
                let body = if bytes.is_empty() {
                    Value::Null
                } else {
                    serde_json::from_slice(&bytes).expect("JSON")
                };
                Ok((status, body))
            }
            Err(error) => {
                let error: ApiError = error.downcast().expect("an error of ours");
                Err((
                    error.code().status,
                    error.code().word,
                    error.message().to_string(),
                ))
            }
        }
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        body: Value,
    ) -> Result<(StatusCode, Value), Refusal> {
        self.call(Method::POST, path, None, Some(&body)).await
    }

    pub(crate) async fn register(&self, username: &str, password: &str) -> Result<Value, Refusal> {
        let body = json!({ "username": username, "password": password });
        self.post("/auth/register", body)
            .await
            .map(|(_, body)| body)
    }

    pub(crate) async fn log_in(&self, username: &str, password: &str) -> Result<Session, Refusal> {
        let body = json!({ "username": username, "password": password });
        let (_, body) = self.post("/auth/login", body).await?;
        Ok(serde_json::from_value(body).expect("a session"))
    }

    /// Logs in from an address, with a client that calls itself something.
    pub(crate) async fn log_in_from(
        &self,
        client_ip: IpAddr,
        client: Option<&str>,
        username: &str,
        password: &str,
    ) -> Result<Session, Refusal> {
        let (post, path) = (Method::POST, "/auth/login");
        let body = json!({ "username": username, "password": password });
        let (_, body) = self
            .call_from(client_ip, client, post, path, None, Some(&body))
            .await?;
        Ok(serde_json::from_value(body).expect("a session"))
    }

    /// Registers and logs in.
    pub(crate) async fn person(&self, username: &str) -> Session {
        self.register(username, PASSWORD).await.expect("accepted");
        self.log_in(username, PASSWORD).await.expect("logged in")
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Result<Session, Refusal> {
        let (_, body) = self
            .post("/auth/refresh", json!({ "refresh_token": refresh_token }))
            .await?;
        Ok(serde_json::from_value(body).expect("a session"))
    }

    pub(crate) async fn log_out(&self, refresh_token: &str) -> Result<(), Refusal> {
        let (status, body) = self
            .post("/auth/logout", json!({ "refresh_token": refresh_token }))
            .await?;
        assert_eq!((status, body), (StatusCode::NO_CONTENT, Value::Null));
        Ok(())
    }

    pub(crate) async fn me(&self, access_token: &str) -> Result<Value, Refusal> {
        self.call(Method::GET, "/auth/me", Some(access_token), None)
            .await
            .map(|(_, body)| body)
    }

    /// The caller's sessions.
    pub(crate) async fn sessions(&self, session: &Session) -> Result<Vec<Value>, Refusal> {
        let token = Some(session.access_token.as_str());
        let (_, body) = self
            .call(Method::GET, "/auth/sessions", token, None)
            .await?;
        Ok(body["sessions"].as_array().expect("a list").clone())
    }

    /// Ends a session of the caller.
    pub(crate) async fn end_session(
        &self,
        session: &Session,
        ended: SessionId,
    ) -> Result<(), Refusal> {
        let path = format!("/auth/sessions/{ended}");
        self.done(session, Method::DELETE, &path, None).await
    }

    /// Ends all other sessions of the caller.
    pub(crate) async fn end_others(&self, session: &Session) -> Result<(), Refusal> {
        self.done(session, Method::DELETE, "/auth/sessions", None)
            .await
    }

    /// Changes the caller's password.
    pub(crate) async fn change_password(
        &self,
        session: &Session,
        from: &str,
        to: &str,
    ) -> Result<(), Refusal> {
        let body = json!({ "current_password": from, "new_password": to });
        self.done(session, Method::POST, "/auth/password", Some(&body))
            .await
    }

    async fn done(
        &self,
        session: &Session,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(), Refusal> {
        let token = Some(session.access_token.as_str());
        let answer = self.call(method, path, token, body).await?;
        assert_eq!(answer, (StatusCode::NO_CONTENT, Value::Null));
        Ok(())
    }

    /// Carries out a command of the operator.
    pub(crate) async fn operate(&self, name: &str, data: Value) -> Result<Value, Refusal> {
        let Value::Object(data) = data else {
            panic!("a command takes an object: {data}");
        };
        let asked = Asked {
            request_id: "command".into(),
            data,
        };
        let answer = self.operator[name].run(asked).await;
        answer.map_err(|error| {
            (
                error.code().status,
                error.code().word,
                error.message().to_string(),
            )
        })
    }

    pub(crate) async fn authenticate(&self, access_token: &str) -> Option<Caller> {
        let authenticator = self.services.get::<dyn Authenticator>().expect("provided");
        match authenticator.authenticate(access_token).await {
            Ok(caller) => Some(caller),
            Err(error) => {
                assert_eq!(error.code().status, 401);
                None
            }
        }
    }

    pub(crate) fn accounts(&self) -> Arc<dyn Accounts> {
        self.services
            .get::<dyn Accounts>()
            .expect("provided")
            .clone()
    }
}

/// The one 401.
pub(crate) fn unauthenticated() -> Refusal {
    let error = ApiError::unauthenticated();
    (
        error.code().status,
        error.code().word,
        error.message().to_string(),
    )
}

/// Remembers which sessions' sockets were closed.
#[derive(Default)]
pub(crate) struct Sockets(Mutex<Vec<SessionId>>);

impl Sockets {
    pub(crate) fn ended(&self) -> Vec<SessionId> {
        self.0.lock().expect("not poisoned").clone()
    }
}

impl Gateway for Sockets {
    fn publish(&self, _: Topic, _: &'static str, _: &str, _: Option<UserId>) {}

    fn send_to_user(&self, _: UserId, _: &'static str, _: &str) {}

    fn followers(&self, _: Stream, _: usize) -> Vec<UserId> {
        Vec::new()
    }

    fn is_online(&self, _: UserId) -> bool {
        false
    }

    fn end_session(&self, session: SessionId, _: &str) {
        self.0.lock().expect("not poisoned").push(session);
    }
}

/// Remembers what was recorded, and can be made to fail.
#[derive(Default)]
pub(crate) struct AuditTrail {
    entries: Mutex<Vec<AuditEntry>>,
    broken: AtomicBool,
}

impl AuditTrail {
    pub(crate) fn actions(&self) -> Vec<&'static str> {
        let entries = self.entries.lock().expect("not poisoned");
        entries.iter().map(|entry| entry.action).collect()
    }

    pub(crate) fn entries(&self) -> Vec<AuditEntry> {
        self.entries.lock().expect("not poisoned").clone()
    }

    pub(crate) fn breaks(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Audit for AuditTrail {
    async fn record(&self, _tx: &WriteTx, entry: AuditEntry) -> Result<(), ApiError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(DbErr::Custom("the audit log cannot be written".to_string()).into());
        }
        self.entries.lock().expect("not poisoned").push(entry);
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

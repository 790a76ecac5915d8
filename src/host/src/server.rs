//! A server from start to stop.

use std::{
    collections::BTreeMap,
    fmt,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use filament_kernel::{
    clock::Clock, config::Profile, db::Database, gateway::Gateway, id::Ids, kept::Kept,
    log::EventLog, module::Host,
};
use filament_protocol::CloseCode;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use crate::{
    admin,
    audit::AuditLog,
    catalogue::Catalogue,
    config::{self, Inputs, Loaded, Problem, Problems},
    data_dir::DataDir,
    database::{self, Schema},
    event_log::{self, EventLogBackend},
    gateway::{self, Delivery, Hub},
    http::{self, App, HttpSettings, Idempotency, Listener, SystemApi, Vitals},
    reconciler::{self, Machinery, Refusal, Report, States},
    snapshot::{Current, Parts, Snapshot},
    telemetry,
    watch::FileWatch,
};

/// What makes a server this product: its modules and its schema.
#[derive(Clone)]
pub struct Product {
    /// The modules.
    pub catalogue: Arc<Catalogue>,
    /// The migrations.
    pub schema: Arc<dyn Schema>,
}

impl Product {
    /// Reads the configuration of this product from `inputs`.
    ///
    /// # Errors
    /// Everything that is wrong with it, or that these modules lack.
    pub fn load(&self, inputs: &Inputs) -> Result<Loaded, Problems> {
        let loaded = config::load(&self.catalogue.sections(), &self.catalogue.ids(), inputs)?;
        let missing = self.catalogue.missing(&|id| loaded.is_enabled(id));
        if missing.is_empty() {
            return Ok(loaded);
        }
        let problems = missing.iter().map(|one| {
            let asking = one.chain.first().copied().unwrap_or_default();
            let (key, suggestion) = match one.providers.first() {
                Some(provider) => (
                    format!("modules.{provider}"),
                    format!("set modules.{provider} = true, or modules.{asking} = false"),
                ),
                None => (
                    format!("modules.{asking}"),
                    format!("set modules.{asking} = false"),
                ),
            };
            Problem::about(&loaded, &key, one.to_string(), Some(suggestion))
        });
        Err(Problems::from(problems.collect::<Vec<_>>()))
    }

    /// The data folder that `inputs` name, where that can be told: for asking a running server whose configuration has been
    /// broken since.
    ///
    /// # Errors
    /// What leaves it open which folder is meant.
    pub fn data_dir(&self, inputs: &Inputs) -> Result<PathBuf, Problems> {
        config::data_dir(&self.catalogue.sections(), &self.catalogue.ids(), inputs)
    }
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration is not valid, or not for these modules.
    Configuration(String),
    /// The data folder cannot be used.
    DataDir(std::io::Error),
    /// The address cannot be bound.
    Bind(SocketAddr, std::io::Error),
    /// The database cannot be reached or migrated.
    Database(sea_orm::DbErr),
    /// Anything else.
    Other(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(text) | Self::Other(text) => f.write_str(text),
            Self::DataDir(error) => write!(f, "the data folder cannot be used: {error}"),
            Self::Bind(addr, error) => {
                write!(f, "cannot listen on {addr} (server.bind_addr): {error}")
            }
            Self::Database(error) => write!(f, "the database cannot be used: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Asks for changes.
    pub reconciler: reconciler::Handle,
    /// The state of each module.
    pub states: States,
    /// What the start came to.
    pub report: Report,
    /// What modules get, for tests that look inside.
    pub host: Host,
    /// The running generation.
    pub current: Arc<Current>,
    config: Arc<Loaded>,
    catalogue: Arc<Catalogue>,
    data_dir: DataDir,
    db: Database,
    hub: Arc<Hub>,
    tasks: Tasks,
}

/// The host's own tasks, in the order in which they are stopped.
struct Tasks {
    /// Stops accepting, and the small tasks below.
    stop: CancellationToken,
    /// Ends the connections that go nowhere.
    cut: CancellationToken,
    connections: TaskTracker,
    small: TaskTracker,
    reconciler: JoinHandle<()>,
    writer: JoinHandle<()>,
    dispatcher: JoinHandle<()>,
    log: Arc<EventLogBackend>,
    /// Finishes requests that nobody waits for any more.
    idempotency: Arc<Idempotency>,
}

impl Server {
    /// Starts a server: configuration, data folder, address, database, event log, modules, and then it accepts.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(product: Product, inputs: Inputs) -> Result<Self, StartError> {
        let started = Instant::now();
        crate::started_ms();
        let config = product
            .load(&inputs)
            .map_err(|problems| StartError::Configuration(problems.to_string()))?;
        let config = Arc::new(config);
        let modules = product.catalogue.ids();
        telemetry::start(&config.host.log, &modules);
        let prometheus = telemetry::metrics().map_err(StartError::Other)?;
        for note in config.notes() {
            info!("{note}");
        }
        let data_dir = DataDir::open(config.host.data_dir()).map_err(StartError::DataDir)?;
        let operators = admin::bind(&config.host.socket_path()).map_err(StartError::DataDir)?;
        let bind_addr = config.host.server.bind_addr;
        let listener = Listener::bind(bind_addr)
            .await
            .map_err(|error| StartError::Bind(bind_addr, error))?;
        let addr = listener.addr;

        let url = config.host.database_url();
        let db = database::connect(url.expose(), &config.host.database)
            .await
            .map_err(StartError::Database)?;
        database::migrate(&db, url.expose(), &config.host.database, &product.schema)
            .await
            .map_err(StartError::Database)?;

        let clock = Clock::default();
        let ids = Arc::new(Ids::default());
        let (backend, writer, committed) = event_log::start(&db, &clock, &ids)
            .await
            .map_err(StartError::Database)?;
        let backend = Arc::new(backend);
        let settings = Arc::new(ArcSwap::from_pointee(gateway_settings(&config)));
        let hub = Hub::new(settings.clone());
        let host = Host {
            db: db.clone(),
            log: EventLog::new(backend.clone()),
            gateway: hub.clone() as Arc<dyn Gateway>,
            audit: Arc::new(AuditLog {
                db: db.clone(),
                ids: ids.clone(),
                clock: clock.clone(),
            }),
            clock,
            ids: ids.clone(),
            kept: Kept::default(),
            data_dir: config.host.data_dir().to_path_buf(),
        };

        let states = States::default();
        let system = (
            http::system_routes(SystemApi {
                vitals: Vitals::new(db.clone(), states.clone()),
                metrics: prometheus.clone(),
            }),
            http::system_document(),
        );
        let current = Arc::new(Current::new(
            Snapshot::assemble(Parts {
                generation: 0,
                config: config.clone(),
                http: Arc::new(HttpSettings::new(&config)),
                catalogue: &product.catalogue,
                live: &BTreeMap::new(),
                system: (system.0.clone(), &system.1),
            })
            .map_err(StartError::Other)?,
        ));
        hub.connect_table(current.clone());

        let stop = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "the host spawns")]
        let (writer, dispatcher) = (
            tokio::spawn(writer.run()),
            tokio::spawn(dispatch(committed, hub.clone())),
        );
        let machinery = Machinery {
            catalogue: product.catalogue.clone(),
            host: host.clone(),
            current: current.clone(),
            hub: hub.clone(),
            states: states.clone(),
            system,
            reconfigure: Box::new(move |config| {
                telemetry::reconfigure(&config.host.log, &modules);
                settings.store(Arc::new(gateway_settings(config)));
            }),
        };
        let load = {
            let product = product.clone();
            let inputs = inputs.clone();
            Arc::new(move || product.load(&inputs))
        };
        let (reconciler, report, reconciler_task) =
            reconciler::start(machinery, config.clone(), load)
                .await
                .map_err(|refusal| match refusal {
                    Refusal::Configuration(_) | Refusal::Conflict(_) => {
                        StartError::Configuration(refusal.to_string())
                    }
                    _ => StartError::Other(refusal.to_string()),
                })?;

        let server_id = data_dir.server_id(&ids).map_err(StartError::DataDir)?;
        let idempotency = Idempotency::new(&host, server_id);
        let app = Arc::new(App {
            current: current.clone(),
            hub: hub.clone(),
            ids,
            docs: http::swagger_page().into(),
            idempotency: idempotency.clone(),
        });
        let cut = CancellationToken::new();
        let connections = http::serve(listener, app, &config.host.http, stop.clone(), cut.clone());
        let small = TaskTracker::new();
        let server = Self {
            addr,
            reconciler,
            states,
            report,
            host,
            current,
            config,
            catalogue: product.catalogue,
            data_dir,
            db,
            hub,
            tasks: Tasks {
                stop,
                cut,
                connections,
                small,
                reconciler: reconciler_task,
                writer,
                dispatcher,
                log: backend,
                idempotency,
            },
        };
        server.start_small_tasks(operators, prometheus);
        server
            .data_dir
            .note_address(addr)
            .map_err(StartError::DataDir)?;
        info!(%addr, ms = started.elapsed().as_millis() as u64, "the server is up");
        Ok(server)
    }

    /// The operators' socket, the watch on the configuration file, the sweep of idempotency keys, and the metrics' upkeep.
    fn start_small_tasks(
        &self,
        operators: tokio::net::UnixListener,
        prometheus: metrics_exporter_prometheus::PrometheusHandle,
    ) {
        let Tasks {
            stop,
            cut,
            connections,
            small,
            ..
        } = &self.tasks;
        let behind = admin::Behind {
            reconciler: self.reconciler.clone(),
            states: self.states.clone(),
            current: self.current.clone(),
            ids: self.host.ids.clone(),
            stop: stop.clone(),
            cut: cut.clone(),
        };
        small.spawn(admin::serve(operators, behind, connections.clone()));
        match FileWatch::new(self.config.file_path()) {
            Ok(watch) => {
                let debounce = self.config.host.reconciler.debounce();
                let run = watch.run(self.reconciler.clone(), debounce);
                let stop = stop.clone();
                small.spawn(async move {
                    let _ = stop.run_until_cancelled(run).await;
                });
            }
            Err(error) => {
                warn!(%error, "the configuration file cannot be watched; reload by command or SIGHUP")
            }
        }
        let (idempotency, stopped) = (self.tasks.idempotency.clone(), stop.clone());
        small.spawn(async move {
            let _ = stopped.run_until_cancelled(idempotency.sweep()).await;
        });
        let stop = stop.clone();
        small.spawn(async move {
            let upkeep = async {
                loop {
                    tokio::time::sleep(telemetry::UPKEEP).await;
                    prometheus.run_upkeep();
                }
            };
            let _ = stop.run_until_cancelled(upkeep).await;
        });
    }

    /// What a person sees at the start.
    pub fn banner(&self) -> String {
        // An address that stands for all is none to go to.
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let base = format!("http://{addr}");
        let mut modules = String::new();
        for status in self.states.all() {
            modules.push_str(&format!(" {} ({})", status.id, status.phase.word()));
        }
        let database = match self.config.host.database_url().expose() {
            url if url.starts_with("sqlite") => "SQLite in the data folder",
            _ => "Postgres",
        };
        format!(
            "\n  filament-server {version}, profile {profile}\n\
             \n  API         {base}\
             \n  Swagger UI  {base}/docs\
             \n  Health      {base}/health\
             \n  Gateway     ws://{addr}/gateway/ws\
             \n  Data        {data}, {database}\
             \n  Modules    {modules}\n",
            version = env!("CARGO_PKG_VERSION"),
            profile = self.config.profile,
            data = self.config.host.data_dir().display(),
        )
    }

    /// Whether this is a development server.
    pub fn is_dev(&self) -> bool {
        self.config.profile == Profile::Dev
    }

    /// Stops: accepts nothing new, closes sockets with 1001, lets requests finish, stops the modules, writes what waits, closes the
    /// database. All within the grace time of the configuration; answers whether it was enough.
    pub async fn stop(self) -> bool {
        let grace = self.current.load().config.host.server.shutdown_grace();
        let deadline = Instant::now() + grace;
        let left = || deadline.saturating_duration_since(Instant::now());
        info!("the server stops");
        self.data_dir.forget_address();
        self.tasks.stop.cancel();
        self.tasks.small.close();
        self.hub
            .close_all(CloseCode::GoingAway, "the server is stopping", left() / 2)
            .await;
        // Connections get half of what is left, so that one that goes nowhere leaves time for what must be written.
        let wait = tokio::time::timeout(left() / 2, self.tasks.connections.wait());
        let mut clean = wait.await.is_ok();
        self.tasks.cut.cancel();
        let wait = tokio::time::timeout(left() / 2, self.tasks.idempotency.finished());
        clean &= wait.await.is_ok();
        clean &= tokio::time::timeout(left(), self.tasks.small.wait())
            .await
            .is_ok();
        let modules = self.reconciler.shut_down(left());
        clean &= tokio::time::timeout(left(), modules).await.is_ok();
        self.tasks.reconciler.abort();

        // The log ends when nobody can add to it any more: the last holders are the generation and this.
        let Self {
            current,
            host,
            tasks,
            db,
            hub,
            config,
            catalogue,
            ..
        } = self;
        let retired = Snapshot::assemble(Parts {
            generation: current.load().generation + 1,
            http: Arc::new(HttpSettings::new(&config)),
            config,
            catalogue: &catalogue,
            live: &BTreeMap::new(),
            system: (Default::default(), &serde_json::Value::Null),
        });
        if let Ok(retired) = retired {
            drop(current.swap(retired));
        }
        drop(host);
        drop(hub);
        drop(tasks.log);
        drop(tasks.idempotency);
        clean &= tokio::time::timeout(left(), tasks.writer).await.is_ok();
        clean &= tokio::time::timeout(left(), tasks.dispatcher).await.is_ok();
        match tokio::time::timeout(left().max(CLOSING), db.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, "the database did not close cleanly"),
            Err(_) => {
                clean = false;
                warn!("the database does not answer; its connections are dropped");
            }
        }
        info!(clean, "the server has stopped");
        clean
    }
}

/// What closing the database may take when the grace time is used up.
const CLOSING: Duration = Duration::from_millis(500);

/// Hands committed events to the gateway. Between batches it lets the sockets write, so that events gather here, where they can be
/// written together, and a burst fills no queue.
async fn dispatch(mut committed: mpsc::Receiver<event_log::Committed>, hub: Arc<Hub>) {
    while let Some(events) = committed.recv().await {
        let deliveries: Vec<Delivery> = events.into_iter().map(|(_, event)| event.into()).collect();
        hub.deliver(&deliveries);
        hub.settle().await;
    }
}

fn gateway_settings(config: &Loaded) -> gateway::Settings {
    let settings = &config.host.gateway;
    gateway::Settings {
        ingress_events_per_window: settings.ingress_events_per_window,
        ingress_window: settings.ingress_window(),
        max_frame_bytes: settings.max_frame_bytes,
        outbound_queue_events: settings.outbound_queue_events,
        ping_interval: settings.ping_interval(),
        pong_timeout: settings.pong_timeout(),
        write_timeout: settings.write_timeout(),
        offline_grace: settings.offline_grace(),
        query_token: settings.query_token,
        max_sockets_per_user: settings.max_sockets_per_user,
        max_sockets_per_ip: settings.max_sockets_per_ip,
        public_origins: config.host.server.public_origins.clone(),
    }
}

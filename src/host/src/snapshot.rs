//! One generation of the server, immutable: what is routed, documented, commanded and provided. A change is a new snapshot and
//! one atomic swap, so a request never sees half of a change.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use filament_kernel::{
    ApiError, ErrorCode,
    gateway::{Audience, Command},
    module::{Health, Manifest, Routes},
    operator::OperatorCommand,
    ports::Authenticator,
    service::{CurrentServices, Provided, ServiceTable},
};
use poem::{IntoEndpoint, endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    OpenApi, OpenApiService,
    registry::{MetaApi, Registry},
};
use serde_json::Value;

use crate::{
    catalogue::Catalogue,
    config::Loaded,
    gateway::{CurrentTable, Lookup, Table},
    http::{ContainedEndpoint, HttpSettings, RouteLimit},
    openapi::{self, KeyedRoutes, RouteMap},
};

/// A module instance that is up, or about to be.
pub struct Live {
    /// What it is and claims.
    pub manifest: Manifest,
    /// Its endpoints.
    pub routes: Routes,
    /// Its gateway commands.
    pub commands: HashMap<&'static str, Arc<dyn Command>>,
    /// Who follows what, by its word.
    pub audience: Option<Arc<dyn Audience>>,
    /// Its services.
    pub services: Vec<Provided>,
    /// Its own word on how it does.
    pub health: Health,
    /// Its commands for the operator.
    pub operator_commands: HashMap<&'static str, Arc<dyn OperatorCommand>>,
    /// The limit on its routes whose path begins with a prefix.
    pub route_limit: Option<(&'static str, Arc<RouteLimit>)>,
    /// Counts the instances that are not gone yet.
    pub counted: Counted,
}

/// One of the instances that exist in this process; tells a leak.
pub struct Counted(());

static INSTANCES: AtomicUsize = AtomicUsize::new(0);

impl Counted {
    /// One more.
    #[expect(clippy::new_without_default, reason = "it counts")]
    pub fn new() -> Self {
        INSTANCES.fetch_add(1, Ordering::Relaxed);
        Self(())
    }

    /// How many there are.
    pub fn instances() -> usize {
        INSTANCES.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        INSTANCES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a module of the catalogue takes no part in a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// It is switched off.
    Disabled,
    /// It should be on, but failed, waits for another, or is quarantined.
    Unavailable,
}

impl Absence {
    /// What is answered to whoever asks for something of `module`.
    pub fn of(self, module: &str) -> ApiError {
        match self {
            Self::Disabled => ApiError::new(
                ErrorCode::MODULE_DISABLED,
                format!("the module `{module}` is switched off"),
            ),
            Self::Unavailable => ApiError::unavailable(format!("the module `{module}` is not up"))
                .retry_after(Duration::from_secs(1)),
        }
    }
}

/// What one generation consists of, before it is assembled.
pub struct Parts<'a> {
    /// Its number.
    pub generation: u64,
    /// Its configuration.
    pub config: Arc<Loaded>,
    /// The host's settings for HTTP that stem from it.
    pub http: Arc<HttpSettings>,
    /// All modules of the build.
    pub catalogue: &'a Catalogue,
    /// The modules that take part.
    pub live: &'a BTreeMap<&'static str, Arc<Live>>,
    /// The host's own API: its routes and its part of the document.
    pub system: (Routes, &'a Value),
}

/// See the module's text.
pub struct Snapshot {
    /// Counts the changes since the start of the process, from 1.
    pub generation: u64,
    /// The configuration that it came from.
    pub config: Arc<Loaded>,
    /// Settings for HTTP.
    pub http: Arc<HttpSettings>,
    /// The routes.
    pub router: BoxEndpoint<'static>,
    /// The OpenAPI document of exactly these routes.
    pub document: Bytes,
    /// The services.
    pub services: Arc<ServiceTable>,
    routes: RouteMap,
    absent: Vec<(&'static str, Absence, RouteMap)>,
    commands: HashMap<&'static str, Arc<dyn Command>>,
    absent_commands: HashMap<&'static str, (&'static str, Absence)>,
    operator_commands: HashMap<&'static str, (&'static str, Arc<dyn OperatorCommand>)>,
    absent_operator_commands: HashMap<&'static str, (&'static str, Absence)>,
    audiences: Vec<(&'static str, Arc<dyn Audience>)>,
}

impl Snapshot {
    /// Assembles a generation.
    ///
    /// # Errors
    /// When the parts contradict each other: nothing has changed then.
    pub fn assemble(parts: Parts<'_>) -> Result<Self, String> {
        let live = parts.live;
        let documents: Vec<(&str, &Value)> = std::iter::once(("host", parts.system.1))
            .chain(
                parts
                    .catalogue
                    .iter()
                    .filter(|one| live.contains_key(one.manifest.id))
                    .map(|one| (one.manifest.id, &one.document)),
            )
            .collect();
        let document = openapi::merge(&documents).map_err(|conflicts| conflicts.join("; "))?;
        let routes = openapi::operations(&document);
        let keyed = KeyedRoutes::of(&document);

        let mut merged = Merged(Vec::new());
        merged.add("host", &parts.system.0, None, &keyed);
        for one in live.values() {
            merged.add(
                one.manifest.id,
                &one.routes,
                one.route_limit.as_ref(),
                &keyed,
            );
        }
        let router = OpenApiService::new(merged, "", "").into_endpoint();

        let mut absent = Vec::new();
        let mut absent_commands = HashMap::new();
        let mut absent_operator_commands = HashMap::new();
        for one in parts.catalogue.iter() {
            let Manifest {
                id,
                routes,
                commands,
                operator_commands,
                ..
            } = one.manifest;
            if live.contains_key(id) {
                continue;
            }
            let absence = if parts.config.is_enabled(id) {
                Absence::Unavailable
            } else {
                Absence::Disabled
            };
            absent.push((id, absence, RouteMap::new(routes.iter().copied())));
            absent_commands.extend(commands.iter().map(|command| (*command, (id, absence))));
            absent_operator_commands
                .extend(operator_commands.iter().map(|name| (*name, (id, absence))));
        }
        Ok(Self {
            generation: parts.generation,
            config: parts.config,
            http: parts.http,
            router,
            document: openapi::text(&document).into(),
            services: Arc::new(ServiceTable::new(
                live.values().flat_map(|one| one.services.iter().cloned()),
            )),
            routes: RouteMap::new(routes.iter().map(String::as_str)),
            absent,
            commands: live
                .values()
                .flat_map(|one| one.commands.iter().map(|(name, run)| (*name, run.clone())))
                .collect(),
            absent_commands,
            operator_commands: live
                .values()
                .flat_map(|one| {
                    one.operator_commands
                        .iter()
                        .map(|(name, run)| (*name, (one.manifest.id, run.clone())))
                })
                .collect(),
            absent_operator_commands,
            audiences: live
                .values()
                .filter_map(|one| Some((one.manifest.id, one.audience.clone()?)))
                .collect(),
        })
    }

    /// A command of the operator, with the module that carries it out.
    ///
    /// # Errors
    /// 404 when no module has it; else that the module that has it is switched off or not up.
    pub fn operator_command(
        &self,
        name: &str,
    ) -> Result<(&'static str, Arc<dyn OperatorCommand>), ApiError> {
        if let Some((module, command)) = self.operator_commands.get(name) {
            return Ok((module, command.clone()));
        }
        Err(match self.absent_operator_commands.get(name) {
            Some((module, absence)) => absence.of(module),
            None => ApiError::new(
                ErrorCode::NOT_FOUND,
                format!("no module of this server has the command `{name}`"),
            ),
        })
    }

    /// The methods that `path` allows in this generation; empty when it is no route.
    pub fn methods(&self, path: &str) -> Vec<&str> {
        self.routes.methods(path)
    }

    /// The name of the `number`th parameter of the route that `path` takes.
    pub fn parameter(&self, path: &str, number: usize) -> Option<&str> {
        self.routes.parameter(path, number)
    }

    /// The module that would serve `path` if it took part.
    pub fn absent_owner(&self, path: &str) -> Option<(&'static str, Absence)> {
        self.absent
            .iter()
            .find(|(_, _, routes)| !routes.methods(path).is_empty())
            .map(|(id, absence, _)| (*id, *absence))
    }
}

impl Table for Snapshot {
    fn command(&self, name: &str) -> Lookup {
        if let Some(command) = self.commands.get(name) {
            return Lookup::Run(command.clone());
        }
        match self.absent_commands.get(name) {
            Some((module, Absence::Disabled)) => Lookup::Disabled { module },
            Some((module, Absence::Unavailable)) => Lookup::Unavailable { module },
            None => Lookup::Unknown,
        }
    }

    fn audiences(&self) -> Vec<(&'static str, Arc<dyn Audience>)> {
        self.audiences.clone()
    }

    fn authenticator(&self) -> Option<Arc<dyn Authenticator>> {
        self.services.get::<dyn Authenticator>().cloned()
    }

    fn generation(&self) -> u64 {
        self.generation
    }
}

/// The endpoints of all modules as one API. Its description is empty: poem-openapi describes types, and which modules are on
/// is no matter of types; the document is merged from the modules' own ([`openapi::merge`]).
struct Merged(Vec<(String, Method, ContainedEndpoint)>);

impl Merged {
    fn add(
        &mut self,
        module: &'static str,
        routes: &Routes,
        limit: Option<&(&'static str, Arc<RouteLimit>)>,
        keyed: &KeyedRoutes,
    ) {
        for (path, methods) in routes {
            let limit = limit
                .filter(|(prefix, _)| path.starts_with(prefix))
                .map(|(_, limit)| limit);
            for (method, endpoint) in methods {
                let contained = ContainedEndpoint::new(
                    module,
                    method,
                    path,
                    endpoint.clone(),
                    limit.cloned(),
                    keyed.contains(method, path),
                );
                self.0.push((path.clone(), method.clone(), contained));
            }
        }
    }
}

impl OpenApi for Merged {
    fn meta() -> Vec<MetaApi> {
        Vec::new()
    }

    fn register(_: &mut Registry) {}

    fn add_routes(self, table: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        for (path, method, endpoint) in self.0 {
            let endpoint = poem::EndpointExt::boxed(endpoint);
            table.entry(path).or_default().insert(method, endpoint);
        }
    }
}

/// The running generation.
pub struct Current(ArcSwap<Snapshot>);

impl Current {
    /// Starts with `first`.
    pub fn new(first: Snapshot) -> Self {
        Self(ArcSwap::from_pointee(first))
    }

    /// The snapshot of this moment. Whoever holds it keeps its modules from being unloaded.
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// The one atomic swap. Answers the old generation.
    pub fn swap(&self, next: Snapshot) -> Arc<Snapshot> {
        self.0.swap(Arc::new(next))
    }
}

impl CurrentServices for Current {
    fn current(&self) -> Arc<ServiceTable> {
        self.0.load().services.clone()
    }
}

impl CurrentTable for Current {
    fn table(&self) -> Arc<dyn Table> {
        self.load()
    }
}

//! # The contract with a module's author
//!
//! A module is a crate under `modules/`, with one type that implements [`Module`], named in one line of
//! `src/server/src/modules.rs`. `modules/README.md` walks through adding one.
//!
//! **What it says of itself.** [`Module::MANIFEST`] is static data that can be read while the module is off and without a
//! database: what it requires and provides, and every route, gateway command, event, table and metric that it claims. Two
//! modules cannot claim the same thing, and the host holds a module to its claims: an instance that serves a route that its
//! manifest does not name is not started.
//!
//! **Coming up.** The host validates the module's [`Section`] and then calls [`Module::prepare`], within a deadline and beside
//! a running older instance of the same module. `prepare` may read the database and build what it needs. It must not
//! change what others see: tasks given to the [`Scope`] do not run yet, and services are not yet
//! visible to others. What it returns, the [`Instance`], is probed (so that what is broken is found before anybody depends on
//! it) and then goes live together with everything else of the new generation, in one atomic swap. Only then do its tasks start. If
//! anything fails before, the instance is dropped and nothing has happened.
//!
//! **Being up.** Handlers and commands run concurrently, on several threads. A panic in one is a 500 and a count. A
//! panic in a task restarts the module after a pause, and after a few times quarantines it: its routes then
//! answer 503. [`Health`] says that the module works, but not fully.
//!
//! **Going down.** When the module is switched off, or replaced because its configuration or a service that it requires
//! changed, the swap comes first: new requests do not reach the old instance any more. Requests that are under way finish.
//! Then [`Scope::cancelled`] resolves, the tasks get the drain time to put things in order, what is left is aborted, and
//! the instance is dropped. Its tables and data stay; they survive being switched off, a `kill -9` at any of these points
//! included. Nothing else survives a restart: an instance must be able to start from the database alone. What one instance
//! leaves in [`Kept`], such as counts of failures, the next one finds if it comes up in the same process.

use std::{collections::HashMap, error::Error, future::Future, path::PathBuf, sync::Arc};

use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{OpenApi, OpenApiService, registry::MetaApi, registry::Registry};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;

use crate::{
    audit::Audit,
    clock::Clock,
    config::Section,
    db::{Database, EntityShape},
    error::ApiError,
    gateway::{Audience, Command, CommandFn, Gateway, TypedCommand},
    id::Ids,
    kept::Kept,
    log::{BoxFuture, EventLog},
    operator::{self, Asked, OperatorCommand},
    scope::Scope,
    service::{CurrentServices, Many, Optional, Port, PortKey, Provided, Required, ServiceTable},
};

/// How far a module can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stability {
    /// Its contract holds.
    Stable,
    /// Its contract may change.
    Experimental,
}

/// What a module is and claims. Static: readable while the module is off.
#[derive(Debug, Clone, Copy)]
pub struct Manifest {
    /// The word that configuration, logs and metrics know it by; also the name of its section.
    pub id: &'static str,
    /// One sentence for an operator.
    pub summary: &'static str,
    /// How far it can be relied on.
    pub stability: Stability,
    /// Ports without which it cannot run.
    pub requires: &'static [PortKey],
    /// Ports that it uses when they are there.
    pub uses: &'static [PortKey],
    /// Ports that it provides.
    pub provides: &'static [PortKey],
    /// Its routes as `METHOD /path/{parameter}`, exactly as in the OpenAPI document.
    pub routes: &'static [&'static str],
    /// Its gateway commands.
    pub commands: &'static [&'static str],
    /// Its commands for the operator, as dotted words: `user.create`.
    pub operator_commands: &'static [&'static str],
    /// The events that it emits.
    pub events: &'static [&'static str],
    /// Its tables.
    pub tables: &'static [&'static str],
    /// Its metrics.
    pub metrics: &'static [&'static str],
}

/// A failure to come up, told to the operator.
pub type StartError = Box<dyn Error + Send + Sync>;

/// A module. See the text above.
pub trait Module: Send + Sync + 'static {
    /// Its configuration.
    type Config: Section;
    /// Its routes: one `#[OpenApi]` type, or a tuple of them.
    type Api: OpenApi + Send + 'static;
    /// What it is and claims.
    const MANIFEST: Manifest;

    /// The shapes of its tables, as [`EntityShape::of`] reads them off its entities.
    fn entities() -> Vec<EntityShape>;

    /// Builds an instance. See "coming up" above for what it may do.
    ///
    /// # Errors
    /// Whatever keeps it from working, in words for an operator. Nothing is then changed.
    fn prepare(
        context: Context<Self::Config>,
    ) -> impl Future<Output = Result<Instance<Self::Api>, StartError>> + Send;
}

/// Whether a module works fully. Cheap to clone.
#[derive(Clone)]
pub struct Health(Arc<watch::Sender<Option<String>>>);

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Health {
    /// The module works, but not fully: `reason` is for an operator.
    pub fn degraded(&self, reason: impl Into<String>) {
        self.0.send_replace(Some(reason.into()));
    }

    /// The module works fully.
    pub fn restored(&self) {
        self.0.send_replace(None);
    }

    /// Why it does not work fully, if it does not.
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

/// What the host gives every module, because it must never be away.
#[derive(Clone)]
pub struct Host {
    /// The system of record.
    pub db: Database,
    /// Changes that others hear of.
    pub log: EventLog,
    /// Open sockets.
    pub gateway: Arc<dyn Gateway>,
    /// Who did what to whom.
    pub audit: Arc<dyn Audit>,
    /// Time.
    pub clock: Clock,
    /// New ids; they grow.
    pub ids: Arc<Ids>,
    /// What instances keep for those that come after them.
    pub kept: Kept,
    /// The data folder; a module that needs files takes a folder of its own name in it.
    pub data_dir: PathBuf,
}

/// What [`Module::prepare`] works with.
pub struct Context<C> {
    /// The module's section, validated.
    pub config: Arc<C>,
    /// What the host gives every module.
    pub host: Host,
    /// The owner of the module's tasks.
    pub scope: Scope,
    /// Says when the module works only in part.
    pub health: Health,
    /// The services of the generation that is being prepared.
    pub prepared: Arc<ServiceTable>,
    /// The services of the running generation, whichever that will be.
    pub current: Arc<dyn CurrentServices>,
}

impl<C> Context<C> {
    /// A service of the manifest's `requires`.
    ///
    /// # Errors
    /// When the manifest does not require it: what it requires is there.
    pub fn required<T: Port + ?Sized>(&self) -> Result<Required<T>, StartError> {
        self.prepared
            .get::<T>()
            .cloned()
            .map(Required::new)
            .ok_or_else(|| {
                format!(
                    "no module provides `{}`; is it in the manifest's `requires`?",
                    T::NAME
                )
                .into()
            })
    }

    /// A service of the manifest's `uses`.
    pub fn optional<T: Port + ?Sized>(&self) -> Optional<T> {
        Optional::new(self.current.clone())
    }

    /// All providers of a port.
    pub fn many<T: Port + ?Sized>(&self) -> Many<T> {
        Many::new(self.current.clone())
    }
}

/// A check that an instance works.
pub type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), StartError>> + Send + Sync>;

/// Puts a module's id to a service that it provides.
pub type Provide = Box<dyn FnOnce(&'static str) -> Provided + Send>;

/// What a module contributes while it is up.
pub struct Instance<A> {
    api: A,
    parts: Parts,
}

/// The part of an [`Instance`] that does not depend on the type of its API.
#[derive(Default)]
pub struct Parts {
    /// Services, by port.
    pub services: Vec<(PortKey, Provide)>,
    /// Gateway commands.
    pub commands: HashMap<&'static str, Arc<dyn Command>>,
    /// Who follows what.
    pub audience: Option<Arc<dyn Audience>>,
    /// The check.
    pub probe: Option<Probe>,
    /// A limit on the module's routes whose path begins with a prefix: per minute, route and client address.
    pub route_limit: Option<(&'static str, u32)>,
    /// Commands of the operator.
    pub operator_commands: HashMap<&'static str, Arc<dyn OperatorCommand>>,
}

impl<A: OpenApi> Instance<A> {
    /// An instance with its routes; add the rest.
    pub fn new(api: A) -> Self {
        Self {
            api,
            parts: Parts::default(),
        }
    }

    /// Provides a port.
    #[must_use]
    pub fn provide<T: Port + ?Sized>(mut self, service: Arc<T>) -> Self {
        self.parts.services.push((
            PortKey::of::<T>(),
            Box::new(move |module| Provided::new(module, service)),
        ));
        self
    }

    /// Handles a gateway command: `run` is an `async fn(&S, &dyn Socket, T) -> Result<(), ApiError>`, and `T`, the payload,
    /// derives `Deserialize` with `deny_unknown_fields`. A payload that is no `T` is answered with an `error` event.
    #[must_use]
    pub fn command<S, T, F>(mut self, name: &'static str, state: Arc<S>, run: F) -> Self
    where
        S: Send + Sync + 'static,
        T: DeserializeOwned + Send + 'static,
        F: for<'a> CommandFn<'a, S, T>,
    {
        let command = TypedCommand {
            state,
            run,
            payload: std::marker::PhantomData::<fn(T)>,
        };
        self.parts.commands.insert(name, Arc::new(command));
        self
    }

    /// Says who follows what.
    #[must_use]
    pub fn audience(mut self, audience: Arc<dyn Audience>) -> Self {
        self.parts.audience = Some(audience);
        self
    }

    /// Checks, before the instance goes live, that it works.
    #[must_use]
    pub fn probe<F, Fut>(mut self, probe: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), StartError>> + Send + 'static,
    {
        self.parts.probe = Some(Arc::new(move || Box::pin(probe())));
        self
    }

    /// Limits every route of the module whose path begins with `prefix` to so many requests a minute, for each route and
    /// client address.
    #[must_use]
    pub fn limit_routes(mut self, prefix: &'static str, per_minute: u32) -> Self {
        self.parts.route_limit = Some((prefix, per_minute));
        self
    }

    /// Carries out a command of the operator: `run` is an `async fn(Arc<S>, Asked<T>) -> Result<R, ApiError>`; `T`, what is asked,
    /// derives `Deserialize` with `deny_unknown_fields`, and `R`, the answer, `Serialize`.
    #[must_use]
    pub fn operator_command<S, T, R, F, Fut>(
        mut self,
        name: &'static str,
        state: Arc<S>,
        run: F,
    ) -> Self
    where
        S: Send + Sync + 'static,
        T: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
        F: Fn(Arc<S>, Asked<T>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, ApiError>> + Send + 'static,
    {
        let command = operator::typed(state, run);
        self.parts.operator_commands.insert(name, command);
        self
    }
}

/// An endpoint that several generations may share.
pub type EndpointRef = Arc<dyn poem::endpoint::DynEndpoint<Output = poem::Response>>;

/// The endpoints of a module: by path, then by method.
pub type Routes = HashMap<String, HashMap<Method, EndpointRef>>;

/// An instance, its API erased: the host's view.
pub struct Erased {
    /// The endpoints.
    pub routes: Routes,
    /// The rest.
    pub parts: Parts,
}

impl<A: OpenApi> From<Instance<A>> for Erased {
    fn from(instance: Instance<A>) -> Self {
        let mut table = HashMap::new();
        instance.api.add_routes(&mut table);
        let routes = table
            .into_iter()
            .map(|(path, methods)| {
                let methods = methods
                    .into_iter()
                    .map(|(method, endpoint)| (method, EndpointRef::from(endpoint)))
                    .collect();
                (path, methods)
            })
            .collect();
        Self {
            routes,
            parts: instance.parts,
        }
    }
}

/// The OpenAPI document of an API type, as JSON, without an instance of it.
pub fn document_of<A: OpenApi>() -> serde_json::Value {
    struct Described<A>(std::marker::PhantomData<fn() -> A>);

    impl<A: OpenApi> OpenApi for Described<A> {
        fn meta() -> Vec<MetaApi> {
            A::meta()
        }

        fn register(registry: &mut Registry) {
            A::register(registry);
        }

        fn add_routes(self, _: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {}
    }

    let service = OpenApiService::new(Described::<A>(std::marker::PhantomData), "", "");
    serde_json::from_str(&service.spec()).unwrap_or_default()
}

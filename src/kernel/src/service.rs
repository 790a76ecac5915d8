//! Dynamic services: how modules reach each other without knowing each other.
//!
//! A **port** is a trait in [`crate::ports`]; a module that provides it hands the host an `Arc<dyn Port>`. Three
//! forms of reaching one, and no knobs:
//!
//! - [`Required`]: present for as long as the consumer lives. When the provider is replaced, so is the consumer, in the
//!   same commit; it may therefore be kept and used like a reference.
//! - [`Optional`]: comes and goes. Ask at each use, never keep what you got.
//! - [`Many`]: every provider of this moment, in the order of their modules' ids.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    marker::PhantomData,
    ops::Deref,
    sync::Arc,
};

/// A trait that modules provide to each other, implemented for the trait object: `impl Port for dyn Accounts { … }`.
pub trait Port: Send + Sync + 'static {
    /// The name in manifests and messages.
    const NAME: &'static str;
}

/// A port, as data.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortKey {
    /// [`Port::NAME`].
    pub name: &'static str,
    id: TypeId,
}

impl PortKey {
    /// The key of `dyn T`.
    pub const fn of<T: Port + ?Sized>() -> Self {
        Self {
            name: T::NAME,
            id: TypeId::of::<T>(),
        }
    }
}

impl fmt::Debug for PortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// One provider of one port.
#[derive(Clone)]
pub struct Provided {
    /// Which port.
    pub port: PortKey,
    /// The providing module.
    pub module: &'static str,
    /// An `Arc<T>`, boxed.
    value: Arc<dyn Any + Send + Sync>,
}

impl Provided {
    /// `module` provides `service` as the port `T`.
    pub fn new<T: Port + ?Sized>(module: &'static str, service: Arc<T>) -> Self {
        Self {
            port: PortKey::of::<T>(),
            module,
            value: Arc::new(service),
        }
    }
}

/// All services of one generation. Immutable: a change is a new table.
#[derive(Clone, Default)]
pub struct ServiceTable {
    by_port: HashMap<TypeId, Vec<Provided>>,
}

impl ServiceTable {
    /// A table of `provided`, ordered by module id within each port.
    pub fn new(provided: impl IntoIterator<Item = Provided>) -> Self {
        let mut by_port: HashMap<TypeId, Vec<Provided>> = HashMap::new();
        for one in provided {
            by_port.entry(one.port.id).or_default().push(one);
        }
        for providers in by_port.values_mut() {
            providers.sort_by_key(|one| one.module);
        }
        Self { by_port }
    }

    /// The first provider of `T`.
    pub fn get<T: Port + ?Sized>(&self) -> Option<&Arc<T>> {
        self.all::<T>().next()
    }

    /// Every provider of `T`, in the order of the modules' ids.
    pub fn all<T: Port + ?Sized>(&self) -> impl Iterator<Item = &Arc<T>> {
        self.by_port
            .get(&TypeId::of::<T>())
            .into_iter()
            .flatten()
            .filter_map(|one| one.value.downcast_ref::<Arc<T>>())
    }
}

/// Where the table of the running generation is found; the host implements it on its snapshot.
pub trait CurrentServices: Send + Sync + 'static {
    /// The table of this moment.
    fn current(&self) -> Arc<ServiceTable>;
}

/// A service that is present for as long as its consumer lives. Use it like the trait object itself.
pub struct Required<T: ?Sized>(Arc<T>);

impl<T: ?Sized> Required<T> {
    /// For the host, and for tests with fake ports.
    pub fn new(service: Arc<T>) -> Self {
        Self(service)
    }
}

impl<T: ?Sized> Clone for Required<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Required<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A service that comes and goes.
pub struct Optional<T: ?Sized> {
    services: Arc<dyn CurrentServices>,
    port: PhantomData<fn() -> Arc<T>>,
}

impl<T: Port + ?Sized> Optional<T> {
    /// For the host, and for tests.
    pub fn new(services: Arc<dyn CurrentServices>) -> Self {
        Self {
            services,
            port: PhantomData,
        }
    }

    /// The service, if there is one now. Drop it before the next await that does not need it.
    pub fn get(&self) -> Option<Arc<T>> {
        self.services.current().get::<T>().cloned()
    }
}

impl<T: ?Sized> Clone for Optional<T> {
    fn clone(&self) -> Self {
        Self {
            services: self.services.clone(),
            port: PhantomData,
        }
    }
}

/// All providers of a port.
pub struct Many<T: ?Sized> {
    services: Arc<dyn CurrentServices>,
    port: PhantomData<fn() -> Arc<T>>,
}

impl<T: Port + ?Sized> Many<T> {
    /// For the host, and for tests.
    pub fn new(services: Arc<dyn CurrentServices>) -> Self {
        Self {
            services,
            port: PhantomData,
        }
    }

    /// The providers of this moment, in the order of their modules' ids.
    pub fn get(&self) -> Vec<Arc<T>> {
        self.services.current().all::<T>().cloned().collect()
    }
}

impl<T: ?Sized> Clone for Many<T> {
    fn clone(&self) -> Self {
        Self {
            services: self.services.clone(),
            port: PhantomData,
        }
    }
}

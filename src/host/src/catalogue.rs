//! The modules of a build: what they claim, and whether their claims fit together.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    marker::PhantomData,
    sync::Arc,
};

use filament_kernel::{
    db::EntityShape,
    log::BoxFuture,
    module::{Context, Erased, Health, Host, Manifest, Module, StartError, document_of},
    scope::Scope,
    service::{CurrentServices, PortKey, ServiceTable},
};
use serde_json::Value;

use crate::{
    config::{Loaded, SectionSpec},
    openapi,
};

/// What [`AnyModule::prepare`] works with.
pub struct Preparation<'a> {
    /// The configuration that the instance is for.
    pub config: &'a Loaded,
    /// What every module gets.
    pub host: Host,
    /// The owner of the instance's tasks.
    pub scope: Scope,
    /// Its health.
    pub health: Health,
    /// Services of the generation that is being prepared.
    pub prepared: Arc<ServiceTable>,
    /// Services of the running generation.
    pub current: Arc<dyn CurrentServices>,
}

/// A [`Module`], its types erased.
pub trait AnyModule: Send + Sync + 'static {
    /// What it is and claims.
    fn manifest(&self) -> Manifest;
    /// Its section of the configuration.
    fn section(&self) -> SectionSpec;
    /// Its part of the OpenAPI document.
    fn document(&self) -> Value;
    /// The shapes of its tables.
    fn entities(&self) -> Vec<EntityShape>;
    /// Builds an instance.
    fn prepare<'a>(&self, with: Preparation<'a>) -> BoxFuture<'a, Result<Erased, StartError>>;
}

struct Entry<M>(PhantomData<fn() -> M>);

/// A line of the list of modules.
pub fn module<M: Module>() -> Box<dyn AnyModule> {
    Box::new(Entry::<M>(PhantomData))
}

impl<M: Module> AnyModule for Entry<M> {
    fn manifest(&self) -> Manifest {
        M::MANIFEST
    }

    fn section(&self) -> SectionSpec {
        SectionSpec::of::<M::Config>(M::MANIFEST.id)
    }

    fn document(&self) -> Value {
        document_of::<M::Api>()
    }

    fn entities(&self) -> Vec<EntityShape> {
        M::entities()
    }

    fn prepare<'a>(&self, with: Preparation<'a>) -> BoxFuture<'a, Result<Erased, StartError>> {
        Box::pin(async move {
            let config = with.config.section::<M::Config>(M::MANIFEST.id)?;
            let context = Context {
                config,
                host: with.host,
                scope: with.scope,
                health: with.health,
                prepared: with.prepared,
                current: with.current,
            };
            M::prepare(context).await.map(Erased::from)
        })
    }
}

/// One module of the catalogue.
pub struct Listed {
    /// What it is and claims.
    pub manifest: Manifest,
    /// Its part of the OpenAPI document.
    pub document: Value,
    /// The module itself.
    pub module: Box<dyn AnyModule>,
}

/// The modules of a build, checked against each other, in an order in which each comes after what it requires.
pub struct Catalogue {
    modules: Vec<Listed>,
}

/// What a set of modules lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingProvider {
    /// From the module that was asked for down to the one that cannot run, for example `["search", "chat"]`.
    pub chain: Vec<&'static str>,
    /// The port that nobody provides.
    pub port: &'static str,
    /// The modules that would provide it.
    pub providers: Vec<&'static str>,
}

impl std::fmt::Display for MissingProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} requires the port `{}`, which ",
            self.chain
                .iter()
                .map(|id| format!("`{id}`"))
                .collect::<Vec<_>>()
                .join(" requires "),
            self.port
        )?;
        if self.providers.is_empty() {
            write!(f, "no module of this build provides")
        } else {
            let names: Vec<String> = self.providers.iter().map(|id| format!("`{id}`")).collect();
            write!(f, "{} would provide, but is off", names.join(" or "))
        }
    }
}

impl Catalogue {
    /// Checks the modules against each other.
    ///
    /// # Errors
    /// Every conflict: two modules with one id or one claim, a manifest that differs from the module's document or entities, a
    /// cycle of requirements (with its path).
    pub fn new(modules: Vec<Box<dyn AnyModule>>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut listed: Vec<Listed> = modules
            .into_iter()
            .map(|module| Listed {
                manifest: module.manifest(),
                document: module.document(),
                module,
            })
            .collect();
        listed.sort_by_key(|one| one.manifest.id);
        problems.extend(conflicting_claims(&listed));
        for one in &listed {
            problems.extend(unclaimed(one));
        }
        let parts: Vec<(&str, &Value)> = listed
            .iter()
            .map(|one| (one.manifest.id, &one.document))
            .collect();
        if let Err(conflicts) = openapi::merge(&parts) {
            problems.extend(conflicts);
        }
        match ordered(listed) {
            Ok(modules) if problems.is_empty() => Ok(Self { modules }),
            Ok(_) => Err(problems),
            Err(cycle) => {
                problems.push(cycle);
                Err(problems)
            }
        }
    }

    /// The modules, each after what it requires.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Listed> {
        self.modules.iter()
    }

    /// One module.
    pub fn get(&self, id: &str) -> Option<&Listed> {
        self.modules.iter().find(|one| one.manifest.id == id)
    }

    /// The ids, in the order of [`Catalogue::iter`].
    pub fn ids(&self) -> Vec<&'static str> {
        self.iter().map(|one| one.manifest.id).collect()
    }

    /// The sections of all modules.
    pub fn sections(&self) -> Vec<SectionSpec> {
        self.iter().map(|one| one.module.section()).collect()
    }

    /// The modules of `among` that provide `port`.
    pub fn providers(&self, port: PortKey, among: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
        self.iter()
            .filter(|one| among(one.manifest.id) && one.manifest.provides.contains(&port))
            .map(|one| one.manifest.id)
            .collect()
    }

    /// What is missing for the modules that are `on` to run, each with the path that leads there.
    pub fn missing(&self, on: &dyn Fn(&str) -> bool) -> Vec<MissingProvider> {
        let mut found = Vec::new();
        for one in self.iter().filter(|one| on(one.manifest.id)) {
            for port in one.manifest.requires {
                if self.providers(*port, on).is_empty() {
                    let providers = self.providers(*port, &|_| true);
                    found.push(MissingProvider {
                        chain: vec![one.manifest.id],
                        port: port.name,
                        providers,
                    });
                }
            }
        }
        // Who stands on a module that cannot run cannot run either: say so with the whole path.
        let direct = found.clone();
        for dependent in self.iter().filter(|one| on(one.manifest.id)) {
            for end in &direct {
                if let Some(path) = self.path(dependent.manifest.id, end.chain[0], on)
                    && path.len() > 1
                {
                    found.push(MissingProvider {
                        chain: path,
                        ..end.clone()
                    });
                }
            }
        }
        found
    }

    /// The shortest path of requirements from one module to another, both included.
    fn path(
        &self,
        from: &'static str,
        to: &str,
        on: &dyn Fn(&str) -> bool,
    ) -> Option<Vec<&'static str>> {
        let mut queue = std::collections::VecDeque::from([vec![from]]);
        let mut seen = HashSet::from([from]);
        while let Some(path) = queue.pop_front() {
            let here = *path.last()?;
            if here == to {
                return Some(path);
            }
            for next in self.required_modules(here, on) {
                if seen.insert(next) {
                    let mut longer = path.clone();
                    longer.push(next);
                    queue.push_back(longer);
                }
            }
        }
        None
    }

    /// The modules of `among` that provide what `id` requires.
    pub fn required_modules(&self, id: &str, among: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
        let Some(one) = self.get(id) else {
            return Vec::new();
        };
        let mut found: Vec<&'static str> = one
            .manifest
            .requires
            .iter()
            .flat_map(|port| self.providers(*port, among))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The modules of `among` that require `id`, directly or not.
    pub fn dependents(&self, id: &str, among: &dyn Fn(&str) -> bool) -> Vec<&'static str> {
        self.iter()
            .map(|one| one.manifest.id)
            .filter(|other| *other != id && among(other))
            .filter(|other| self.path(other, id, &|m| among(m) || m == id).is_some())
            .collect()
    }
}

fn conflicting_claims(modules: &[Listed]) -> Vec<String> {
    type Claims = fn(&Manifest) -> Vec<&'static str>;
    const KINDS: &[(&str, Claims)] = &[
        ("the id", |m| vec![m.id]),
        ("the route", |m| m.routes.to_vec()),
        ("the gateway command", |m| m.commands.to_vec()),
        ("the operator's command", |m| m.operator_commands.to_vec()),
        ("the event", |m| m.events.to_vec()),
        ("the table", |m| m.tables.to_vec()),
        ("the metric", |m| m.metrics.to_vec()),
    ];
    let mut problems = Vec::new();
    for (kind, claims) in KINDS {
        let mut owners: HashMap<&'static str, &'static str> = HashMap::new();
        for one in modules {
            for claim in claims(&one.manifest) {
                if let Some(other) = owners.insert(claim, one.manifest.id) {
                    problems.push(format!(
                        "{kind} `{claim}` is claimed by `{other}` and by `{}`",
                        one.manifest.id
                    ));
                }
            }
        }
    }
    problems
}

/// What a module does that its manifest does not say, and the other way round.
fn unclaimed(one: &Listed) -> Vec<String> {
    let Manifest {
        id, routes, tables, ..
    } = one.manifest;
    let documented = openapi::operations(&one.document);
    let shapes = one.module.entities();
    let mapped: Vec<&str> = shapes.iter().map(|shape| shape.table.as_str()).collect();
    let mut problems = Vec::new();
    let mut compare = |what: &str, claimed: &[&str], real: Vec<&str>| {
        for missing in claimed.iter().filter(|claim| !real.contains(*claim)) {
            problems.push(format!(
                "`{id}` claims the {what} `{missing}`, which it does not have"
            ));
        }
        for extra in real.iter().filter(|one| !claimed.contains(*one)) {
            problems.push(format!(
                "`{id}` has the {what} `{extra}`, which its manifest does not claim"
            ));
        }
    };
    compare(
        "route",
        routes,
        documented.iter().map(String::as_str).collect(),
    );
    compare("table", tables, mapped);
    problems
}

/// Orders modules so that each comes after what it requires; among equals by id.
fn ordered(modules: Vec<Listed>) -> Result<Vec<Listed>, String> {
    let mut left: BTreeMap<&'static str, Listed> = modules
        .into_iter()
        .map(|one| (one.manifest.id, one))
        .collect();
    let mut done = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let ready = left
            .values()
            .find(|one| {
                one.manifest.requires.iter().all(|port| {
                    !left
                        .values()
                        .any(|other| other.manifest.provides.contains(port))
                })
            })
            .map(|one| one.manifest.id);
        match ready.and_then(|id| left.remove(id)) {
            Some(one) => done.push(one),
            None => {
                return Err(format!(
                    "the modules require each other in a circle: {}",
                    circle(&left)
                ));
            }
        }
    }
    Ok(done)
}

/// One circle among modules that all wait for another: `a -> b -> a`.
fn circle(left: &BTreeMap<&'static str, Listed>) -> String {
    let next = |id: &str| {
        left.get(id).and_then(|one| {
            left.values()
                .find(|other| {
                    one.manifest
                        .requires
                        .iter()
                        .any(|port| other.manifest.provides.contains(port))
                })
                .map(|other| other.manifest.id)
        })
    };
    let mut path: Vec<&'static str> = Vec::new();
    let mut here = left.keys().next().copied();
    while let Some(id) = here {
        if let Some(start) = path.iter().position(|seen| *seen == id) {
            path.drain(..start);
            path.push(id);
            break;
        }
        path.push(id);
        here = next(id);
    }
    path.join(" -> ")
}

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use filament_kernel::{
    module::{Host, Routes},
    service::Provided,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{
    bring_up::{Panicked, Running, bring_up},
    plan::{self, Action, Plan},
    refusal::Refusal,
    state::{Phase, States},
};
use crate::{
    catalogue::{Catalogue, Listed},
    config::Loaded,
    gateway::Hub,
    http::HttpSettings,
    snapshot::{Current, Live, Parts, Snapshot},
};

/// What a change works on.
pub struct Machinery {
    /// The modules of the build.
    pub catalogue: Arc<Catalogue>,
    /// What every module gets.
    pub host: Host,
    /// The running generation.
    pub current: Arc<Current>,
    /// The gateway.
    pub hub: Arc<Hub>,
    /// What operators see.
    pub states: States,
    /// The host's own routes and their part of the document.
    pub system: (Routes, Value),
    /// Called at each commit: brings what the host itself configures up to date.
    pub reconfigure: Box<dyn Fn(&Loaded) + Send + Sync>,
}

struct Fresh {
    id: &'static str,
    running: Running,
}

/// What a change came to.
pub(super) struct Outcome {
    pub(super) generation: u64,
    pub(super) plan: Plan,
    pub(super) prepare: Duration,
    pub(super) commit: Duration,
    pub(super) drain: Duration,
    /// Modules that should run and did not come up, with the reason.
    pub(super) failed: BTreeMap<&'static str, String>,
}

/// What a change may do beyond the configuration.
#[derive(Default)]
pub(super) struct Options {
    /// Replaced, or started, whatever the configuration says.
    pub(super) forced: BTreeSet<&'static str>,
    /// Kept down whatever the configuration says.
    pub(super) held: BTreeSet<&'static str>,
    /// May fail without the change being refused; what runs of them goes on.
    pub(super) may_fail: BTreeSet<&'static str>,
}

pub(super) struct Engine {
    machinery: Machinery,
    live: BTreeMap<&'static str, Running>,
    config: Option<Arc<Loaded>>,
    panics: mpsc::UnboundedSender<Panicked>,
    incarnations: u64,
}

impl Engine {
    pub(super) fn new(machinery: Machinery, panics: mpsc::UnboundedSender<Panicked>) -> Self {
        for one in machinery.catalogue.iter() {
            machinery
                .states
                .declare(one.manifest.id, one.manifest.summary);
        }
        Self {
            machinery,
            live: BTreeMap::new(),
            config: None,
            panics,
            incarnations: 0,
        }
    }

    pub(super) fn machinery(&self) -> &Machinery {
        &self.machinery
    }

    pub(super) fn config(&self) -> Option<&Arc<Loaded>> {
        self.config.as_ref()
    }

    pub(super) fn incarnation(&self, id: &str) -> Option<u64> {
        self.live.get(id).map(|running| running.incarnation)
    }

    /// Carries out the way from what runs to `wanted`. Until the swap nothing that runs is touched, and an early return drops
    /// all that was prepared.
    pub(super) async fn apply(
        &mut self,
        wanted: Arc<Loaded>,
        options: Options,
    ) -> Result<Outcome, Refusal> {
        let before: BTreeMap<&'static str, Option<Phase>> = self
            .machinery
            .catalogue
            .ids()
            .into_iter()
            .map(|id| (id, self.machinery.states.phase(id)))
            .collect();
        let result = self.try_apply(wanted, options).await;
        if result.is_err() {
            for (id, phase) in before {
                if let Some(phase) = phase {
                    self.machinery.states.set(id, phase);
                }
            }
        }
        result
    }

    async fn try_apply(
        &mut self,
        wanted: Arc<Loaded>,
        options: Options,
    ) -> Result<Outcome, Refusal> {
        let catalogue = self.machinery.catalogue.clone();
        let running = plan::Running {
            config: self.config.as_deref(),
            modules: self.live.keys().copied().collect(),
            forced: options.forced.clone(),
            held: options.held.clone(),
        };
        let plan = plan::plan(&catalogue, &running, &wanted).map_err(Refusal::Conflict)?;
        info!(plan = plan.to_string().replace('\n', "; "), "plan");
        if plan.is_empty() && self.config.is_some() {
            return Ok(self.as_it_is(plan));
        }

        let started = Instant::now();
        let mut next: BTreeMap<&'static str, Arc<Live>> = BTreeMap::new();
        let mut fresh: Vec<Fresh> = Vec::new();
        let mut failed: BTreeMap<&'static str, String> = BTreeMap::new();
        let mut blocked: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let to_prepare: HashSet<&str> = plan
            .modules(Action::Start)
            .into_iter()
            .chain(plan.modules(Action::Replace))
            .collect();
        for listed in catalogue.iter() {
            let id = listed.manifest.id;
            if !wanted.is_enabled(id) || options.held.contains(id) {
                continue;
            }
            let services: Vec<Provided> = next
                .values()
                .flat_map(|live| live.services.iter().cloned())
                .collect();
            let missing = unmet(listed, &services, &catalogue);
            if !missing.is_empty() {
                blocked.insert(id, missing);
                continue;
            }
            let old = self.live.get(id).map(|running| running.live.clone());
            if !to_prepare.contains(id) {
                next.extend(old.map(|live| (id, live)));
                continue;
            }
            if old.is_none() {
                self.machinery.states.set(id, Phase::Preparing);
            }
            match self.bring_up(listed, &wanted, services).await {
                Ok(running) => {
                    next.insert(id, running.live.clone());
                    fresh.push(Fresh { id, running });
                }
                Err(refusal) if options.may_fail.contains(id) => {
                    warn!(module = id, %refusal, "a module did not come up; the others go on");
                    failed.insert(id, refusal.reason());
                    next.extend(old.map(|live| (id, live)));
                }
                Err(refusal) => return Err(refusal),
            }
        }
        let prepare = started.elapsed();

        let committing = Instant::now();
        let generation = self.machinery.current.load().generation + 1;
        let http = HttpSettings::reusing(&self.machinery.current.load().http, &wanted);
        let snapshot = Snapshot::assemble(Parts {
            generation,
            config: wanted.clone(),
            http: Arc::new(http),
            catalogue: &catalogue,
            live: &next,
            system: (self.machinery.system.0.clone(), &self.machinery.system.1),
        })
        .map_err(Refusal::Assemble)?;
        let old = self.machinery.current.swap(snapshot);
        // From here on nothing can fail.
        let leaving = self.settle(
            &wanted, &options, fresh, &next, &failed, &blocked, generation,
        );
        (self.machinery.reconfigure)(&wanted);
        let commit = committing.elapsed();
        metrics::gauge!("filament_generation").set(generation as f64);

        let draining = Instant::now();
        let grace = wanted.host.reconciler.drain_timeout();
        let unused = Arc::downgrade(&old);
        drop(old);
        while unused.strong_count() > 0 && draining.elapsed() < grace {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for Fresh { id, running } in leaving {
            if !running
                .owner
                .stop(grace.saturating_sub(draining.elapsed()))
                .await
            {
                warn!(
                    module = id,
                    "tasks did not end in the drain time and were aborted"
                );
            }
            if !next.contains_key(id) {
                self.machinery.states.set(
                    id,
                    self.resting_phase(id, &wanted, &options, &failed, &blocked),
                );
            }
        }
        Ok(Outcome {
            generation,
            plan,
            prepare,
            commit,
            drain: draining.elapsed(),
            failed,
        })
    }

    /// What a change came to that changes nothing: the running generation goes on, and nobody is told of another.
    fn as_it_is(&self, plan: Plan) -> Outcome {
        Outcome {
            generation: self.machinery.current.load().generation,
            plan,
            prepare: Duration::ZERO,
            commit: Duration::ZERO,
            drain: Duration::ZERO,
            failed: BTreeMap::new(),
        }
    }

    /// After the swap: starts the tasks of what came, takes what goes out of the list, and tells everybody.
    #[expect(
        clippy::too_many_arguments,
        reason = "it is the second half of one function"
    )]
    fn settle(
        &mut self,
        wanted: &Arc<Loaded>,
        options: &Options,
        fresh: Vec<Fresh>,
        next: &BTreeMap<&'static str, Arc<Live>>,
        failed: &BTreeMap<&'static str, String>,
        blocked: &BTreeMap<&'static str, Vec<String>>,
        generation: u64,
    ) -> Vec<Fresh> {
        let states = self.machinery.states.clone();
        let mut leaving = Vec::new();
        let mut up = Vec::new();
        let mut down = Vec::new();
        for id in self.live.keys().copied().collect::<Vec<_>>() {
            if !next.contains_key(id)
                && let Some(running) = self.live.remove(id)
            {
                down.push(id);
                states.set(id, Phase::Draining);
                states.set_instance(id, None);
                leaving.push(Fresh { id, running });
            }
        }
        for Fresh { id, running } in fresh {
            running.owner.start();
            states.set_instance(id, Some((running.live.health.clone(), generation)));
            states.set(id, Phase::Active);
            match self.live.insert(id, running) {
                Some(running) => leaving.push(Fresh { id, running }),
                None => up.push(id),
            }
        }
        for id in self.machinery.catalogue.ids() {
            states.set_enabled(id, wanted.is_enabled(id));
            if !next.contains_key(id) && !down.contains(&id) {
                states.set(id, self.resting_phase(id, wanted, options, failed, blocked));
            }
        }
        self.config = Some(wanted.clone());
        self.machinery.hub.modules_changed(&up, &down, generation);
        leaving
    }

    /// The state of a module that does not run.
    fn resting_phase(
        &self,
        id: &'static str,
        wanted: &Loaded,
        options: &Options,
        failed: &BTreeMap<&'static str, String>,
        blocked: &BTreeMap<&'static str, Vec<String>>,
    ) -> Phase {
        if !wanted.is_enabled(id) {
            Phase::Disabled
        } else if options.held.contains(id) {
            match self.machinery.states.phase(id) {
                Some(phase @ Phase::Quarantined { .. }) => phase,
                _ => Phase::Quarantined {
                    reason: "its tasks panicked too often".to_string(),
                },
            }
        } else if let Some(reason) = failed.get(id) {
            Phase::Failed {
                reason: reason.clone(),
                retry_at: Instant::now(),
            }
        } else {
            Phase::Blocked {
                missing: blocked.get(id).cloned().unwrap_or_default(),
            }
        }
    }

    async fn bring_up(
        &mut self,
        listed: &Listed,
        config: &Loaded,
        services: Vec<Provided>,
    ) -> Result<Running, Refusal> {
        self.incarnations += 1;
        let (incarnation, panics) = (self.incarnations, self.panics.clone());
        bring_up(
            &self.machinery,
            listed,
            config,
            services,
            incarnation,
            panics,
        )
        .await
    }

    /// Stops everything, dependents first.
    pub(super) async fn shut_down(&mut self, grace: Duration) {
        let deadline = Instant::now() + grace;
        for id in self.machinery.catalogue.ids().into_iter().rev() {
            if let Some(running) = self.live.remove(id) {
                self.machinery.states.set(id, Phase::Draining);
                let left = deadline.saturating_duration_since(Instant::now());
                if !running.owner.stop(left).await {
                    warn!(module = id, "tasks did not end in time and were aborted");
                }
            }
        }
    }
}

/// The modules that would provide what `listed` requires and what is not among `services`.
fn unmet(listed: &Listed, services: &[Provided], catalogue: &Catalogue) -> Vec<String> {
    listed
        .manifest
        .requires
        .iter()
        .filter(|port| !services.iter().any(|one| one.port == **port))
        .flat_map(|port| catalogue.providers(*port, &|_| true))
        .map(ToString::to_string)
        .collect()
}

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use filament_kernel::module::Health;
use serde::Serialize;

/// What is observed of a module. What is desired is [`ModuleStatus::enabled`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Phase {
    /// Switched off.
    Disabled,
    /// It should run, but something that it requires does not.
    Blocked {
        /// The modules that it waits for.
        missing: Vec<String>,
    },
    /// An instance is being built.
    Preparing,
    /// It serves.
    Active,
    /// It serves, but not fully.
    Degraded {
        /// In its own words.
        reason: String,
    },
    /// It did not come up.
    Failed {
        /// Why.
        reason: String,
        /// When it is tried again.
        #[serde(serialize_with = "seconds_from_now", rename = "retry_in_secs")]
        retry_at: Instant,
    },
    /// Requests that were under way finish; then it goes.
    Draining,
    /// A task of it panicked; it serves still and is about to be replaced.
    Backoff {
        /// How many times lately.
        panics: u32,
        /// What the last one said.
        reason: String,
        /// When it is replaced.
        #[serde(serialize_with = "seconds_from_now", rename = "retry_in_secs")]
        until: Instant,
    },
    /// It panicked too often and stays down until the next reload or restart.
    Quarantined {
        /// What the last panic said.
        reason: String,
    },
}

fn seconds_from_now<S: serde::Serializer>(at: &Instant, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(at.saturating_duration_since(Instant::now()).as_secs())
}

impl Phase {
    /// The state's name, as in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Blocked { .. } => "blocked",
            Self::Preparing => "preparing",
            Self::Active => "active",
            Self::Degraded { .. } => "degraded",
            Self::Failed { .. } => "failed",
            Self::Draining => "draining",
            Self::Backoff { .. } => "backoff",
            Self::Quarantined { .. } => "quarantined",
        }
    }

    /// Whether all is as it was asked to be.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Disabled | Self::Active)
    }
}

/// One module, as an operator sees it.
#[derive(Debug, Clone, Serialize)]
pub struct ModuleStatus {
    /// Its id.
    pub id: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Whether the configuration has it on.
    pub enabled: bool,
    /// What is observed.
    #[serde(flatten)]
    pub phase: Phase,
    /// The generation that its instance came with.
    pub since_generation: Option<u64>,
}

struct Observed {
    status: ModuleStatus,
    health: Option<Health>,
}

/// The states of all modules. Cheap to clone; written by the reconciler alone.
#[derive(Clone, Default)]
pub struct States(Arc<Mutex<BTreeMap<&'static str, Observed>>>);

impl States {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Observed>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Every module, by id. A module that is active and says that it does not work fully is shown as degraded.
    pub fn all(&self) -> Vec<ModuleStatus> {
        self.lock()
            .values()
            .map(|observed| {
                let mut status = observed.status.clone();
                if status.phase == Phase::Active
                    && let Some(reason) = observed.health.as_ref().and_then(Health::reason)
                {
                    status.phase = Phase::Degraded { reason };
                }
                status
            })
            .collect()
    }

    /// One module's phase.
    pub fn phase(&self, id: &str) -> Option<Phase> {
        self.lock()
            .get(id)
            .map(|observed| observed.status.phase.clone())
    }

    pub(super) fn declare(&self, id: &'static str, summary: &'static str) {
        self.lock().insert(
            id,
            Observed {
                status: ModuleStatus {
                    id,
                    summary,
                    enabled: false,
                    phase: Phase::Disabled,
                    since_generation: None,
                },
                health: None,
            },
        );
    }

    pub(super) fn set(&self, id: &str, phase: Phase) {
        if let Some(observed) = self.lock().get_mut(id) {
            if observed.status.phase.word() != phase.word() {
                tracing::info!(
                    module = id,
                    from = observed.status.phase.word(),
                    to = phase.word(),
                    "module state"
                );
            }
            observed.status.phase = phase;
        }
    }

    pub(super) fn set_enabled(&self, id: &str, enabled: bool) {
        if let Some(observed) = self.lock().get_mut(id) {
            observed.status.enabled = enabled;
        }
    }

    pub(super) fn set_instance(&self, id: &str, instance: Option<(Health, u64)>) {
        if let Some(observed) = self.lock().get_mut(id) {
            observed.status.since_generation = instance.as_ref().map(|(_, generation)| *generation);
            observed.health = instance.map(|(health, _)| health);
        }
    }
}

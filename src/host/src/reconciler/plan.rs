use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    catalogue::{Catalogue, MissingProvider},
    config::Loaded,
};

/// What happens to a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It was not there and comes up.
    Start,
    /// A new instance takes the place of the old one.
    Replace,
    /// It goes.
    Stop,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "because", rename_all = "snake_case")]
pub enum Reason {
    /// It was switched on or off.
    Switched,
    /// Its section changed.
    Configured {
        /// These keys of it.
        keys: Vec<String>,
    },
    /// Something that it requires is replaced.
    Requires {
        /// The module that provides it.
        module: &'static str,
    },
    /// A task of it panicked, or it failed before.
    Recovery,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Which module.
    pub module: &'static str,
    /// What happens to it.
    pub action: Action,
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
    /// The routes that appear, are served by another instance, or disappear.
    pub routes: usize,
    /// The gateway commands likewise.
    pub commands: usize,
}

/// What a configuration means for what runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Modules that start, are replaced or stop, in the order in which it happens.
    pub steps: Vec<Step>,
    /// Keys of the host's own sections that change while everything goes on.
    pub reconfigured: Vec<String>,
}

/// Keys of the host that take a restart; with a dot at the end, whole sections.
pub(crate) const FIXED: &[&str] = &[
    "profile",
    "server.bind_addr",
    "data.",
    "database.",
    "storage.",
    "http.header_timeout_secs",
    "http.idle_timeout_secs",
    "http.max_header_bytes",
    "http.max_connections",
    "log.format",
    "reconciler.debounce_millis",
];

/// Whether a key takes a restart.
pub(crate) fn is_fixed(key: &str) -> bool {
    FIXED
        .iter()
        .any(|fixed| key == *fixed || (fixed.ends_with('.') && key.starts_with(fixed)))
}

/// Why a configuration cannot be carried out on what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// Modules would lack what they require.
    Missing(Vec<MissingProvider>),
    /// These keys take a restart.
    NeedsRestart(Vec<String>),
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(missing) => {
                let lines: Vec<String> = missing.iter().map(ToString::to_string).collect();
                f.write_str(&lines.join("; "))
            }
            Self::NeedsRestart(keys) => {
                write!(
                    f,
                    "{} cannot change while the server runs: restart it",
                    keys.join(", ")
                )
            }
        }
    }
}

/// What runs now, for planning.
pub struct Running<'a> {
    /// The configuration in force, unless nothing runs yet.
    pub config: Option<&'a Loaded>,
    /// The modules that are up.
    pub modules: BTreeSet<&'static str>,
    /// Modules to be replaced whatever the configuration says.
    pub forced: BTreeSet<&'static str>,
    /// Modules that are to stay down whatever the configuration says.
    pub held: BTreeSet<&'static str>,
}

/// Plans the way from what runs to `wanted`.
///
/// # Errors
/// [`Conflict`]; nothing may then be done.
pub fn plan(
    catalogue: &Catalogue,
    running: &Running<'_>,
    wanted: &Loaded,
) -> Result<Plan, Conflict> {
    let enabled = |id: &str| wanted.is_enabled(id);
    let missing = catalogue.missing(&enabled);
    if !missing.is_empty() {
        return Err(Conflict::Missing(missing));
    }
    let changed = running
        .config
        .map(|config| config.changed_keys(wanted))
        .unwrap_or_default();
    let fixed: Vec<String> = changed
        .iter()
        .filter(|key| is_fixed(key))
        .cloned()
        .collect();
    if !fixed.is_empty() {
        return Err(Conflict::NeedsRestart(fixed));
    }

    let mut reasons: BTreeMap<&'static str, (Action, Reason)> = BTreeMap::new();
    for one in catalogue.iter() {
        let id = one.manifest.id;
        let up = running.modules.contains(id);
        let wanted_up = enabled(id) && !running.held.contains(id);
        let own: Vec<String> = changed
            .iter()
            .filter(|key| key.split('.').next() == Some(id))
            .cloned()
            .collect();
        // In the catalogue's order, what a module requires has been decided before it.
        let provider = catalogue
            .required_modules(id, &enabled)
            .into_iter()
            .find(|provider| reasons.contains_key(provider));
        let step = match (up, wanted_up) {
            (false, true) if running.forced.contains(id) => Some((Action::Start, Reason::Recovery)),
            (false, true) => Some((Action::Start, Reason::Switched)),
            (true, false) if running.held.contains(id) => Some((Action::Stop, Reason::Recovery)),
            (true, false) => Some((Action::Stop, Reason::Switched)),
            (true, true) if running.forced.contains(id) => {
                Some((Action::Replace, Reason::Recovery))
            }
            (true, true) if !own.is_empty() => {
                Some((Action::Replace, Reason::Configured { keys: own }))
            }
            (true, true) => provider.map(|module| (Action::Replace, Reason::Requires { module })),
            (false, false) => None,
        };
        if let Some(step) = step {
            reasons.insert(id, step);
        }
    }
    let step = |id: &'static str| {
        let (action, reason) = reasons.get(id)?.clone();
        let manifest = catalogue.get(id)?.manifest;
        Some(Step {
            module: id,
            action,
            reason,
            routes: manifest.routes.len(),
            commands: manifest.commands.len(),
        })
    };
    let ids = catalogue.ids();
    let (stops, others): (Vec<Step>, Vec<Step>) = ids
        .iter()
        .filter_map(|id| step(id))
        .partition(|step| step.action == Action::Stop);
    Ok(Plan {
        steps: others.into_iter().chain(stops.into_iter().rev()).collect(),
        reconfigured: changed
            .into_iter()
            .filter(|key| {
                let section = key.split('.').next().unwrap_or(key);
                section != "modules" && !ids.contains(&section)
            })
            .collect(),
    })
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.reconfigured.is_empty()
    }

    /// The modules of one kind of step.
    pub fn modules(&self, action: Action) -> Vec<&'static str> {
        self.steps
            .iter()
            .filter(|step| step.action == action)
            .map(|step| step.module)
            .collect()
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing changes");
        }
        let mut lines = Vec::new();
        for step in &self.steps {
            let (sign, verb) = match step.action {
                Action::Start => ("+", "start"),
                Action::Replace => ("~", "replace"),
                Action::Stop => ("-", "stop"),
            };
            let reason = match &step.reason {
                Reason::Switched => String::new(),
                Reason::Configured { keys } => format!(", because {} changed", keys.join(", ")),
                Reason::Requires { module } => format!(", because it requires {module}"),
                Reason::Recovery => ", to recover".to_string(),
            };
            lines.push(format!(
                "{sign} {verb} {} ({} routes, {} gateway commands{reason})",
                step.module, step.routes, step.commands
            ));
        }
        for key in &self.reconfigured {
            lines.push(format!("~ reconfigure {key}"));
        }
        lines.push("no socket is closed".to_string());
        f.write_str(&lines.join("\n"))
    }
}

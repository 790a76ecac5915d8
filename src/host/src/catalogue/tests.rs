//! Catalogues that hold together and catalogues that do not, and what a configuration means for them.

use std::collections::BTreeSet;

use filament_kernel::{
    Context, Instance, Manifest, Module,
    config::Section,
    db::EntityShape,
    module::{Stability, StartError},
    service::{Port, PortKey},
};
use poem_openapi::OpenApi;
use serde::{Deserialize, Serialize};
use validator::Validate;

use super::{AnyModule, Catalogue, module};
use crate::{
    config::{self, Inputs, Loaded},
    reconciler::{Action, Conflict, Plan, Reason, Running, plan},
};

#[derive(Serialize, Deserialize, Validate)]
#[serde(deny_unknown_fields)]
struct Size {
    size: u32,
}

impl Section for Size {
    const DEFAULTS: &'static str = "# Any number.\nsize = 1\n";
}

struct NoRoutes;

#[OpenApi]
impl NoRoutes {}

macro_rules! ports {
    ($($name:ident),*) => {$(
        trait $name: Send + Sync {}
        impl Port for dyn $name {
            const NAME: &'static str = stringify!($name);
        }
    )*};
}

ports!(Alpha, Beta, Gamma);

macro_rules! modules {
    ($($name:ident = $id:literal requires [$($requires:ident),*] provides [$($provides:ident),*] claims [$($claim:literal),*];)*) => {$(
        struct $name;

        impl Module for $name {
            type Config = Size;
            type Api = NoRoutes;
            const MANIFEST: Manifest = Manifest {
                id: $id,
                summary: "for tests",
                stability: Stability::Experimental,
                requires: &[$(PortKey::of::<dyn $requires>()),*],
                uses: &[],
                provides: &[$(PortKey::of::<dyn $provides>()),*],
                routes: &[],
                commands: &[$($claim),*],
                operator_commands: &[],
                events: &[],
                tables: &[],
                metrics: &[],
            };

            fn entities() -> Vec<EntityShape> {
                Vec::new()
            }

            async fn prepare(_: Context<Size>) -> Result<Instance<NoRoutes>, StartError> {
                Ok(Instance::new(NoRoutes))
            }
        }
    )*};
}

modules! {
    Base = "base" requires [] provides [Alpha] claims ["say"];
    Middle = "middle" requires [Alpha] provides [Beta] claims [];
    Top = "top" requires [Beta] provides [] claims [];
    Rival = "rival" requires [] provides [] claims ["say"];
    Egg = "egg" requires [Gamma] provides [Beta] claims [];
    Hen = "hen" requires [Beta] provides [Gamma] claims [];
    Orphan = "orphan" requires [Gamma] provides [] claims [];
}

fn catalogue(modules: Vec<Box<dyn AnyModule>>) -> Result<Catalogue, Vec<String>> {
    Catalogue::new(modules)
}

fn tower() -> Catalogue {
    // Listed upside down on purpose.
    catalogue(vec![module::<Top>(), module::<Middle>(), module::<Base>()])
        .expect("it holds together")
}

fn load(catalogue: &Catalogue, env: &[(&str, &str)]) -> Loaded {
    let env = env
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    let inputs = Inputs {
        env,
        ..Inputs::default()
    };
    config::load(&catalogue.sections(), &catalogue.ids(), &inputs).expect("a valid configuration")
}

#[test]
fn modules_come_after_what_they_require() {
    assert_eq!(tower().ids(), ["base", "middle", "top"]);
}

#[test]
fn two_modules_cannot_claim_the_same() {
    let problems = catalogue(vec![module::<Base>(), module::<Rival>()])
        .err()
        .expect("refused");
    assert_eq!(
        problems,
        ["the gateway command `say` is claimed by `base` and by `rival`"]
    );
}

#[test]
fn a_circle_and_a_missing_provider_are_different_errors_with_the_full_path() {
    let circle = catalogue(vec![module::<Egg>(), module::<Hen>()])
        .err()
        .expect("refused");
    assert_eq!(
        circle,
        ["the modules require each other in a circle: egg -> hen -> egg"]
    );

    // Nobody provides it in this build: known when it is switched on.
    let lonely = catalogue(vec![module::<Orphan>()]).expect("no circle");
    let missing = lonely.missing(&|_| true);
    assert_eq!(
        missing[0].to_string(),
        "`orphan` requires the port `Gamma`, which no module of this build provides"
    );

    let missing = tower().missing(&|id| id != "base");
    let texts: Vec<String> = missing.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "`middle` requires the port `Alpha`, which `base` would provide, but is off",
            "`top` requires `middle` requires the port `Alpha`, which `base` would provide, but is off",
        ]
    );
    assert_eq!(tower().dependents("base", &|_| true), ["middle", "top"]);
}

fn plan_for(
    running: &[&'static str],
    from: &[(&str, &str)],
    to: &[(&str, &str)],
) -> Result<Plan, Conflict> {
    let catalogue = tower();
    let old = load(&catalogue, from);
    plan(
        &catalogue,
        &Running {
            config: Some(&old),
            modules: running.iter().copied().collect(),
            forced: BTreeSet::new(),
            held: BTreeSet::new(),
        },
        &load(&catalogue, to),
    )
}

fn steps(plan: &Plan) -> Vec<(&'static str, Action)> {
    plan.steps
        .iter()
        .map(|step| (step.module, step.action))
        .collect()
}

const ALL: &[&str] = &["base", "middle", "top"];

#[test]
fn replacing_a_provider_replaces_its_dependents_and_nothing_else() {
    let plan = plan_for(ALL, &[], &[("FILAMENT_MIDDLE__SIZE", "2")]).expect("a plan");
    assert_eq!(
        steps(&plan),
        [("middle", Action::Replace), ("top", Action::Replace)]
    );
    assert_eq!(
        plan.steps[0].reason,
        Reason::Configured {
            keys: vec!["middle.size".to_string()]
        }
    );
    assert_eq!(plan.steps[1].reason, Reason::Requires { module: "middle" });
}

#[test]
fn what_goes_goes_last_and_dependents_first() {
    let off = [
        ("FILAMENT_MODULES__TOP", "false"),
        ("FILAMENT_MODULES__MIDDLE", "false"),
        ("FILAMENT_BASE__SIZE", "9"),
    ];
    let plan = plan_for(ALL, &[], &off).expect("a plan");
    assert_eq!(
        steps(&plan),
        [
            ("base", Action::Replace),
            ("top", Action::Stop),
            ("middle", Action::Stop)
        ]
    );
    let plan = plan_for(&["base"], &off, &[("FILAMENT_BASE__SIZE", "9")]).expect("a plan");
    assert_eq!(
        steps(&plan),
        [("middle", Action::Start), ("top", Action::Start)]
    );
}

#[test]
fn a_change_of_the_host_replaces_no_module_and_what_takes_a_restart_is_refused() {
    let plan = plan_for(ALL, &[], &[("FILAMENT_LOG__LEVEL", "debug")]).expect("a plan");
    assert!(plan.steps.is_empty());
    assert_eq!(plan.reconfigured, ["log.level"]);
    assert_eq!(
        plan_for(ALL, &[], &[]).expect("a plan").to_string(),
        "nothing changes"
    );

    let refused = plan_for(ALL, &[], &[("FILAMENT_DATA__DIR", "/elsewhere")]).expect_err("refused");
    assert_eq!(
        refused,
        Conflict::NeedsRestart(vec!["data.dir".to_string()])
    );
    let refused = plan_for(ALL, &[], &[("FILAMENT_MODULES__BASE", "false")]).expect_err("refused");
    assert!(matches!(refused, Conflict::Missing(missing) if missing.len() == 2));
}

/// Keys of the host that hold from the commit on, each with where they are read.
const LIVE: &[&str] = &[
    // from the snapshot, at each request or at the stop
    "server.trusted_proxy_cidrs",
    "server.shutdown_grace_secs",
    "http.request_timeout_secs",
    "http.max_json_body_bytes",
    "http.rate_limit_requests_per_minute",
    "http.metrics_allowed_cidrs",
    "http.compression",
    // from the gateway's settings, for open sockets too
    "server.public_origins",
    "gateway.",
    // by the filter of the log
    "log.level",
    "log.levels",
    // from the configuration of the change itself, or of the panic
    "reconciler.prepare_timeout_secs",
    "reconciler.probe_timeout_secs",
    "reconciler.drain_timeout_secs",
    "reconciler.max_task_panics",
    "reconciler.panic_backoff_millis",
];

#[test]
fn every_key_of_the_host_either_holds_at_once_or_is_refused_until_a_restart() {
    let catalogue = tower();
    let loaded = load(&catalogue, &[]);
    let ids = catalogue.ids();
    for one in config::explain(&loaded, None) {
        let section = one.key.split('.').next().unwrap_or_default();
        if section == "modules" || ids.contains(&section) {
            continue;
        }
        let live = LIVE
            .iter()
            .any(|key| one.key == *key || (key.ends_with('.') && one.key.starts_with(key)));
        let fixed = crate::reconciler::is_fixed(&one.key);
        assert!(live != fixed, "{}: live {live}, fixed {fixed}", one.key);
    }
}

use std::{panic::AssertUnwindSafe, sync::Arc};

use filament_kernel::{
    module::{Erased, Health},
    scope::{ScopeOwner, TaskPanic, panic_message},
    service::{PortKey, Provided, ServiceTable},
};
use futures_util::FutureExt;
use tokio::sync::mpsc;

use super::{change::Machinery, refusal::Refusal};
use crate::{
    catalogue::{Listed, Preparation},
    config::Loaded,
    http::RouteLimit,
    openapi,
    snapshot::{Counted, Live},
};

/// A panic in a task, with the instance that it happened in.
pub(super) struct Panicked {
    pub(super) module: &'static str,
    pub(super) incarnation: u64,
    pub(super) panic: TaskPanic,
}

/// An instance with the owner of its tasks.
pub(super) struct Running {
    pub(super) live: Arc<Live>,
    pub(super) owner: ScopeOwner,
    /// Tells the instances of one module apart.
    pub(super) incarnation: u64,
}

/// Prepares and probes one module, and holds it to its manifest. Dropping what it answers leaves nothing behind.
pub(super) async fn bring_up(
    machinery: &Machinery,
    listed: &Listed,
    config: &Loaded,
    services: Vec<Provided>,
    incarnation: u64,
    panics: mpsc::UnboundedSender<Panicked>,
) -> Result<Running, Refusal> {
    let module = listed.manifest.id;
    let owner = ScopeOwner::new(move |panic| {
        metrics::counter!("filament_module_task_panics_total", "module" => module).increment(1);
        let _ = panics.send(Panicked {
            module,
            incarnation,
            panic,
        });
    });
    let health = Health::default();
    let limits = &config.host.reconciler;
    let preparation = Preparation {
        config,
        host: machinery.host.clone(),
        scope: owner.scope(),
        health: health.clone(),
        prepared: Arc::new(ServiceTable::new(services)),
        current: machinery.current.clone(),
    };
    let work = AssertUnwindSafe(listed.module.prepare(preparation)).catch_unwind();
    let refused = |reason: String| Refusal::Prepare { module, reason };
    let erased = match tokio::time::timeout(limits.prepare_timeout(), work).await {
        Ok(Ok(Ok(erased))) => erased,
        Ok(Ok(Err(error))) => return Err(refused(error.to_string())),
        Ok(Err(panic)) => return Err(refused(format!("panic: {}", panic_message(&*panic)))),
        Err(_) => {
            return Err(refused(format!(
                "it took longer than {} s",
                limits.prepare_timeout_secs
            )));
        }
    };
    let probe = erased.parts.probe.clone();
    let live = live(listed, erased, health).map_err(refused)?;
    if let Some(probe) = probe {
        let refused = |reason: String| Refusal::Probe { module, reason };
        match tokio::time::timeout(
            limits.probe_timeout(),
            AssertUnwindSafe(probe()).catch_unwind(),
        )
        .await
        {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => return Err(refused(error.to_string())),
            Ok(Err(panic)) => {
                return Err(refused(format!("panic: {}", panic_message(&*panic))));
            }
            Err(_) => {
                return Err(refused(format!(
                    "its probe took longer than {} s",
                    limits.probe_timeout_secs
                )));
            }
        }
    }
    Ok(Running {
        live: Arc::new(live),
        owner,
        incarnation,
    })
}

/// Checks an instance against its manifest: it may do exactly what it claims.
fn live(listed: &Listed, erased: Erased, health: Health) -> Result<Live, String> {
    let manifest = listed.manifest;
    let Erased { routes, parts } = erased;
    let differ = |what: &str, claimed: &mut Vec<&str>, real: &mut Vec<&str>| {
        claimed.sort_unstable();
        real.sort_unstable();
        if claimed == real {
            return Ok(());
        }
        Err(format!(
            "its manifest claims the {what} {claimed:?}, but it has {real:?}"
        ))
    };
    differ(
        "gateway commands",
        &mut manifest.commands.to_vec(),
        &mut parts.commands.keys().copied().collect(),
    )?;
    differ(
        "operator's commands",
        &mut manifest.operator_commands.to_vec(),
        &mut parts.operator_commands.keys().copied().collect(),
    )?;
    let ports: Vec<PortKey> = parts.services.iter().map(|(port, _)| *port).collect();
    differ(
        "services",
        &mut manifest.provides.iter().map(|port| port.name).collect(),
        &mut ports.iter().map(|port| port.name).collect(),
    )?;
    let served: usize = routes.values().map(|methods| methods.len()).sum();
    let documented = openapi::operations(&listed.document).len();
    if served != documented {
        return Err(format!(
            "it serves {served} routes and documents {documented}"
        ));
    }
    Ok(Live {
        manifest,
        routes,
        commands: parts.commands,
        audience: parts.audience,
        services: parts
            .services
            .into_iter()
            .map(|(_, provide)| provide(manifest.id))
            .collect(),
        health,
        operator_commands: parts.operator_commands,
        route_limit: parts.route_limit.map(|(prefix, rate)| {
            (
                prefix,
                Arc::new(RouteLimit::per_minute(rate).named("route")),
            )
        }),
        counted: Counted::new(),
    })
}

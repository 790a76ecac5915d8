//! Logs and metrics of the process.
//!
//! Logs go to standard error: readable in `dev`, one JSON object a line in `production`, with a level per module that a reload
//! changes. Metrics are kept by the `metrics` family and read at `/metrics`.

use std::{collections::BTreeMap, io::IsTerminal, sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

use crate::config::host::{Log, LogFormat};

type FilterHandle = reload::Handle<EnvFilter, Registry>;

static FILTER: OnceLock<FilterHandle> = OnceLock::new();
static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// The filter of a configuration: our own crates at its level, libraries at `warn`, and what it names at a level of its own: a
/// module by its id, a library by its name.
fn filter(log: &Log, modules: &[&'static str]) -> EnvFilter {
    let crate_of = |module: &str| format!("filament_{module}");
    let ours = ["filament".to_string()].into_iter().chain(
        ["host", "kernel", "server"]
            .into_iter()
            .chain(modules.iter().copied())
            .map(crate_of),
    );
    let mut directives: BTreeMap<String, &str> =
        ours.map(|target| (target, log.level.as_str())).collect();
    for (target, level) in &log.levels_by_module() {
        let target = if modules.contains(target) {
            crate_of(target)
        } else {
            target.to_string()
        };
        directives.insert(target, level.as_str());
    }
    let mut text = String::from("warn");
    for (target, level) in directives {
        text.push_str(&format!(",{target}={level}"));
    }
    EnvFilter::new(text)
}

/// Starts logging, once in a process; later calls only set the levels.
pub fn start(log: &Log, modules: &[&'static str]) {
    if FILTER.get().is_some() {
        return reconfigure(log, modules);
    }
    let (filter, handle) = reload::Layer::new(filter(log, modules));
    let output = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let output = match log.format {
        LogFormat::Json => output.json().flatten_event(true).boxed(),
        LogFormat::Pretty => output.with_target(false).compact().boxed(),
    };
    if tracing_subscriber::registry()
        .with(filter)
        .with(output)
        .try_init()
        .is_ok()
    {
        let _ = FILTER.set(handle);
    }
}

/// Sets the levels anew.
pub fn reconfigure(log: &Log, modules: &[&'static str]) {
    if let Some(handle) = FILTER.get() {
        let _ = handle.reload(filter(log, modules));
    }
}

/// The metrics of the process; one recorder for all hosts in it.
///
/// # Errors
/// When another recorder is installed.
pub fn metrics() -> Result<PrometheusHandle, String> {
    if let Some(handle) = METRICS.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets(&[
            0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
        ])
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| error.to_string())?;
    Ok(METRICS.get_or_init(|| handle).clone())
}

/// How often the recorder puts its histograms in order.
pub const UPKEEP: Duration = Duration::from_secs(5);

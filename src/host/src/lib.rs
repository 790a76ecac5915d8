//! The host: knows nothing about chat. It loads the modules of a build, gives them what they need, and assembles what they
//! contribute into one server whose parts can change while it runs.
//!
//! Reading order: [`catalogue`] (what modules claim), [`config`] (layers and problems), [`reconciler`] (the one way for
//! anything to change), [`snapshot`] (what one generation is), [`http`] and [`gateway`] (how it is served), [`event_log`],
//! [`server`] (start to stop).

pub mod admin;
pub mod audit;
pub mod catalogue;
pub mod config;
pub mod data_dir;
pub mod database;
pub mod event_log;
pub mod gateway;
pub mod http;
pub mod openapi;
pub mod reconciler;
pub mod server;
pub mod snapshot;
pub mod telemetry;
pub mod watch;

#[cfg(panic = "abort")]
compile_error!("a panic must stay inside its module: build without panic = \"abort\"");

/// When this process started, in milliseconds since the Unix epoch.
pub(crate) fn started_ms() -> u128 {
    use std::{
        sync::OnceLock,
        time::{SystemTime, UNIX_EPOCH},
    };
    static STARTED: OnceLock<u128> = OnceLock::new();
    *STARTED.get_or_init(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis())
    })
}

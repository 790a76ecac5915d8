//! The figures that we are measured by, on a release server and a durable Postgres of its own.
//!
//! `cargo build --release && cargo bench -p filament-tests [-- sends|history|scale|fanout|idle|toggle|start|log-ins|timing …]`
//!
//! Each line is one figure with how it came about. Server, Postgres and the load share the machine; CPU per operation is the
//! process's own time, read from `/proc`.

#![allow(clippy::disallowed_methods, reason = "a bench is a host of its own")]

mod deliveries;
mod figures;
mod idle;
mod lifecycle;
mod log_ins;
mod messages;
mod scale;
mod world;

use std::{sync::Arc, time::Duration};

use filament_test_support::Postgres;

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let postgres = Arc::new(Postgres::durable().await.expect("PostgreSQL is installed"));
        if wants("sends") {
            messages::sends(&postgres, 1, 1).await;
            messages::sends(&postgres, 1, 16).await;
            messages::sends(&postgres, 16, 1).await;
        }
        if wants("history") {
            messages::history(&postgres).await;
        }
        if wants("scale") {
            scale::scale(&postgres).await;
        }
        if wants("fanout") {
            deliveries::reference();
            deliveries::fanout(&postgres, 50, Duration::from_secs(10)).await;
            deliveries::flood(&postgres).await;
        }
        if wants("idle") {
            idle::idle(&postgres).await;
        }
        if wants("toggle") {
            lifecycle::toggle(&postgres).await;
        }
        if wants("start") {
            lifecycle::start(&postgres).await;
        }
        if wants("log-ins") {
            log_ins::load(&postgres).await;
        }
        if wants("timing") {
            log_ins::timing(&postgres).await;
        }
    });
}

//! Connections that do nothing.

use std::{sync::Arc, time::Duration};

use filament_test_support::{Person, Postgres, raw::Socket};

use crate::{
    figures::mib,
    world::{open, server},
};

/// Memory of idle connections, and what it costs when all go.
pub(crate) async fn idle(postgres: &Arc<Postgres>) {
    let server = server(postgres).await;
    let ada = Person::register(&server, "ada").await;
    let addr = server.addr();
    let warm: Vec<Socket> = open(addr, &ada, 100).await;
    let empty = server.usage().resident_bytes;
    let sockets = open(addr, &ada, 10_000).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let full = server.usage().resident_bytes;
    let before = server.usage().cpu_seconds;
    drop(sockets);
    tokio::time::sleep(Duration::from_secs(8)).await;
    let after = server.usage();
    println!(
        "idle, 10,000 authenticated sockets: {:.1} KiB each ({:.1} MiB -> {:.1} MiB, {:.1} MiB after they left); a departure {:.0} us",
        (full - empty) as f64 / 10_000.0 / 1024.0,
        mib(empty),
        mib(full),
        mib(after.resident_bytes),
        (after.cpu_seconds - before) * 1e6 / 10_000.0,
    );
    drop(warm);
}

//! Starting, and switching modules on and off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use filament_host::admin::{self, Ask};
use filament_test_support::{
    Person, Postgres, Server,
    raw::{Http, request},
};
use tokio::task::JoinSet;

use crate::{
    figures::{mib, percentile},
    world::server,
};

/// Time of a toggle, and what it does to requests to other modules at 2,000 a second.
pub(crate) async fn toggle(postgres: &Arc<Postgres>) {
    let server = server(postgres).await;
    let ada = Person::register(&server, "ada").await;
    let addr = server.addr();
    let load = async |time: Duration, during: Option<&Server>| {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            let stop = stop.clone();
            let me = request("GET", "/auth/me", Some(&ada.session.access_token), None);
            clients.spawn(async move {
                let mut http = Http::connect(addr).await.expect("connect");
                let mut tick = tokio::time::interval(Duration::from_millis(2));
                let mut latencies = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    tick.tick().await;
                    let sent = Instant::now();
                    let (status, _) = http.call(&me).await.expect("no reset");
                    assert_eq!(status, 200);
                    latencies.push(sent.elapsed().as_secs_f64() * 1e3);
                }
                latencies
            });
        }
        let started = Instant::now();
        let mut commits = Vec::new();
        let mut on = true;
        while started.elapsed() < time {
            let Some(server) = during else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            on = !on;
            server.write_config(&format!("[modules]\nchat = {on}\n"));
            // Over the operators' socket itself: a process for each command would be most of the load.
            let socket = server.data_dir().join("filament.sock");
            let report = admin::ask(&socket, &Ask::Reload)
                .await
                .expect("an answer")
                .expect("a server");
            assert!(report["error"].is_null(), "{report}");
            let took = |key: &str| report["report"][key].as_f64().unwrap_or_default();
            commits.push(took("prepare_ms") + took("commit_ms"));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        stop.store(true, Ordering::Relaxed);
        let mut latencies = Vec::new();
        while let Some(mine) = clients.join_next().await {
            latencies.extend(mine.expect("no failed request"));
        }
        (
            latencies.len() as f64 / started.elapsed().as_secs_f64(),
            percentile(&mut latencies, 0.99),
            commits,
        )
    };
    let (_, calm, _) = load(Duration::from_secs(5), None).await;
    let (rate, busy, mut commits) = load(Duration::from_secs(10), Some(&server)).await;
    println!(
        "toggles: {} under {rate:.0} requests/s, plan to committed p50 {:.1} ms, max {:.1} ms; p99 of the others {calm:.2} ms -> {busy:.2} ms, none failed",
        commits.len(),
        percentile(&mut commits, 0.5),
        percentile(&mut commits, 1.0),
    );
}

/// From the start of the process to a healthy answer, on a migrated database, and memory at rest.
pub(crate) async fn start(postgres: &Arc<Postgres>) {
    let mut server = server(postgres).await;
    let mut times = times_to_healthy(&mut server, 10).await;
    server.start_again().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    println!(
        "start to healthy on a migrated database: p50 {:.0} ms, max {:.0} ms; at rest {:.1} MiB",
        percentile(&mut times, 0.5),
        percentile(&mut times, 1.0),
        mib(server.usage().resident_bytes),
    );
}

/// Milliseconds from the start of a server's process to its first healthy answer, `count` times. The server is stopped then.
pub(crate) async fn times_to_healthy(server: &mut Server, count: usize) -> Vec<f64> {
    let addr = server.addr();
    let health = request("GET", "/health", None, None);
    let mut times = Vec::new();
    server.terminate().await;
    for _ in 0..count {
        let mut command = server.command();
        command
            .env("FILAMENT_BIND_ADDR", addr.to_string())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
        let started = Instant::now();
        let mut process = command.spawn().expect("the server");
        loop {
            if let Ok(mut http) = Http::connect(addr).await
                && let Ok((200, _)) = http.call(&health).await
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        times.push(started.elapsed().as_secs_f64() * 1e3);
        process.kill().expect("it ran");
        process.wait().expect("it ends");
    }
    times
}

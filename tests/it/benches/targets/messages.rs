//! Sending messages, and reading them again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use filament_test_support::{
    Person, Postgres, Visibility,
    people::messages_of,
    raw::{Http, request},
};
use serde_json::json;
use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    figures::{Cpu, percentile},
    world::{a_channel, server},
};

/// Acknowledged sends by 32 clients for ten seconds.
pub(crate) async fn sends(postgres: &Arc<Postgres>, guilds: usize, channels: usize) {
    let server = server(postgres).await;
    let ada = Person::register(&server, "ada").await;
    let mut paths = Vec::new();
    for g in 0..guilds {
        let guild = ada
            .found_guild(&format!("guild {g}"), Visibility::Public)
            .await;
        for c in 0..channels {
            let channel = ada.open_channel(&guild, &format!("channel {c}")).await;
            paths.push(messages_of(&guild, &channel));
        }
    }
    let stop = Arc::new(AtomicBool::new(false));
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let addr = server.addr();
    let before = Cpu::read(&server, postgres);
    let started = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..32 {
        let (stop, latencies) = (stop.clone(), latencies.clone());
        let body = json!({ "content": "the quick brown fox jumps over the lazy dog" }).to_string();
        let send = request(
            "POST",
            &paths[client % paths.len()],
            Some(&ada.session.access_token),
            Some(&body),
        );
        clients.spawn(async move {
            let mut http = Http::connect(addr).await.expect("connect");
            let mut mine = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let sent = Instant::now();
                let (status, body) = http.call(&send).await.expect("an answer");
                assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                mine.push(sent.elapsed().as_secs_f64() * 1e3);
            }
            latencies.lock().await.extend(mine);
        });
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    stop.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    let seconds = started.elapsed().as_secs_f64();
    let after = Cpu::read(&server, postgres);
    let mut latencies = latencies.lock().await.clone();
    let count = latencies.len() as u64;
    let (server_us, postgres_us) = before.each(&after, count);
    println!(
        "sends, 32 clients, {guilds} guild(s) x {channels} channel(s): {:.0}/s, p50 {:.1} ms, p99 {:.1} ms, {server_us:.0} us server and \
         {postgres_us:.0} us Postgres each",
        count as f64 / seconds,
        percentile(&mut latencies, 0.5),
        percentile(&mut latencies, 0.99),
    );
}

/// Pages of 50 messages by 32 clients, 10,000 stored.
pub(crate) async fn history(postgres: &Arc<Postgres>) {
    let server = server(postgres).await;
    let (ada, guild, channel) = a_channel(&server).await;
    let addr = server.addr();
    let path = messages_of(&guild, &channel);
    let mut writers = JoinSet::new();
    for _ in 0..32 {
        let send = request(
            "POST",
            &path,
            Some(&ada.session.access_token),
            Some(&json!({ "content": "the quick brown fox jumps over the lazy dog" }).to_string()),
        );
        writers.spawn(async move {
            let mut http = Http::connect(addr).await.expect("connect");
            for _ in 0..313 {
                http.call(&send).await.expect("an answer");
            }
        });
    }
    while writers.join_next().await.is_some() {}
    let before = Cpu::read(&server, postgres);
    let started = Instant::now();
    let count = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for _ in 0..32 {
        let page = request(
            "GET",
            &format!("{path}?limit=50"),
            Some(&ada.session.access_token),
            None,
        );
        let count = count.clone();
        readers.spawn(async move {
            let mut http = Http::connect(addr).await.expect("connect");
            while started.elapsed() < Duration::from_secs(5) {
                let (status, _) = http.call(&page).await.expect("an answer");
                assert_eq!(status, 200);
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while readers.join_next().await.is_some() {}
    let count = count.load(Ordering::Relaxed);
    let (server_us, postgres_us) = before.each(&Cpu::read(&server, postgres), count);
    println!(
        "pages of 50, 32 clients: {:.0}/s, {server_us:.0} us server and {postgres_us:.0} us Postgres each",
        count as f64 / started.elapsed().as_secs_f64()
    );
}

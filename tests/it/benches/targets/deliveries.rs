//! Deliveries to many subscribers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use filament_test_support::{
    Postgres,
    people::messages_of,
    raw::{Http, request},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    figures::{Cpu, percentile},
    world::{a_channel, server, subscribers},
};

/// What this machine takes for the same without a server: one thread that writes a frame of the same length to 1,000 sockets, 50 times a
/// second.
pub(crate) fn reference() {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
    };
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let addr = listener.local_addr().expect("an address");
    let mut writers = Vec::new();
    for _ in 0..1000 {
        let mut reader = TcpStream::connect(addr).expect("connect");
        let (writer, _) = listener.accept().expect("accept");
        writer.set_nodelay(true).expect("nodelay");
        writers.push(writer);
        std::thread::Builder::new()
            .stack_size(64 * 1024)
            .spawn(move || {
                let mut buffer = [0; 4096];
                while reader.read(&mut buffer).is_ok_and(|read| read > 0) {}
            })
            .expect("a thread");
    }
    let frame = [b'x'; 420];
    let cpu = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("procfs");
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or("")
            .split_whitespace()
            .collect();
        let ticks = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        (ticks(11) + ticks(12)) / 100.0
    };
    let before = cpu();
    let rounds = 250;
    for _ in 0..rounds {
        let started = Instant::now();
        for writer in &mut writers {
            writer.write_all(&frame).expect("written");
        }
        std::thread::sleep(Duration::from_millis(20).saturating_sub(started.elapsed()));
    }
    println!(
        "reference, a bare writer to 1,000 sockets, 50 frames/s: {:.1} us each",
        (cpu() - before) * 1e6 / (rounds as f64 * 1000.0)
    );
}

/// Send to receive at 1,000 subscribers.
pub(crate) async fn fanout(postgres: &Arc<Postgres>, per_second: u64, time: Duration) {
    let server = server(postgres).await;
    let (ada, guild, channel) = a_channel(&server).await;
    let addr = server.addr();
    let sockets = subscribers(addr, &ada, &guild, &channel, 1000).await;
    let total = per_second * time.as_secs();
    let epoch = Instant::now();
    let mut readers = JoinSet::new();
    for mut socket in sockets {
        readers.spawn(async move {
            let mut latencies = Vec::new();
            for _ in 0..total {
                let frame = socket
                    .until("\"message_create\"")
                    .await
                    .expect("every message");
                let now = epoch.elapsed().as_micros() as u64;
                let text = String::from_utf8_lossy(&frame);
                let sent: u64 = text
                    .split("\"content\":\"at ")
                    .nth(1)
                    .and_then(|rest| rest.split('"').next()?.parse().ok())
                    .expect("the time it was sent");
                latencies.push(now.saturating_sub(sent) as f64 / 1e3);
            }
            latencies
        });
    }
    let before = Cpu::read(&server, postgres);
    let mut http = Http::connect(addr).await.expect("connect");
    let path = messages_of(&guild, &channel);
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / per_second));
    for _ in 0..total {
        tick.tick().await;
        let body = json!({ "content": format!("at {}", epoch.elapsed().as_micros()) }).to_string();
        let (status, _) = http
            .call(&request(
                "POST",
                &path,
                Some(&ada.session.access_token),
                Some(&body),
            ))
            .await
            .expect("an answer");
        assert_eq!(status, 200);
    }
    let mut latencies = Vec::new();
    while let Some(mine) = readers.join_next().await {
        latencies.extend(mine.expect("a reader"));
    }
    let (server_us, _) = before.each(&Cpu::read(&server, postgres), total * 1000);
    println!(
        "send to receive, 1,000 subscribers, {per_second} messages/s: p50 {:.1} ms, p99 {:.1} ms, {server_us:.1} us server a delivery",
        percentile(&mut latencies, 0.5),
        percentile(&mut latencies, 0.99),
    );
}

/// Deliveries at full load: senders that wait for nobody but their acknowledgements.
pub(crate) async fn flood(postgres: &Arc<Postgres>) {
    let server = server(postgres).await;
    let (ada, guild, channel) = a_channel(&server).await;
    let addr = server.addr();
    let sockets = subscribers(addr, &ada, &guild, &channel, 1000).await;
    let received = Arc::new(AtomicU64::new(0));
    let lost = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for mut socket in sockets {
        let (received, lost) = (received.clone(), lost.clone());
        readers.spawn(async move {
            loop {
                match socket.count_ready().await {
                    Ok(frames) => received.fetch_add(frames, Ordering::Relaxed),
                    Err(_) => {
                        lost.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                };
            }
        });
    }
    let before = Cpu::read(&server, postgres);
    let started = Instant::now();
    let sent = Arc::new(AtomicU64::new(0));
    let mut senders = JoinSet::new();
    for _ in 0..16 {
        let sent = sent.clone();
        let send = request(
            "POST",
            &messages_of(&guild, &channel),
            Some(&ada.session.access_token),
            Some(&json!({ "content": "flood" }).to_string()),
        );
        senders.spawn(async move {
            let mut http = Http::connect(addr).await.expect("connect");
            while started.elapsed() < Duration::from_secs(8) {
                let (status, _) = http.call(&send).await.expect("an answer");
                assert_eq!(status, 200);
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while senders.join_next().await.is_some() {}
    let mut known = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = received.load(Ordering::Relaxed);
        if now == known {
            break;
        }
        known = now;
    }
    let seconds = started.elapsed().as_secs_f64() - 0.3;
    let (server_us, _) = before.each(&Cpu::read(&server, postgres), known);
    println!(
        "deliveries at full load, 1,000 subscribers, 16 senders: {:.0}/s of {} messages, {server_us:.1} us server a delivery, {} of 1,000 sockets \
         closed as too slow",
        known as f64 / seconds,
        sent.load(Ordering::Relaxed),
        lost.load(Ordering::Relaxed),
    );
    readers.abort_all();
}

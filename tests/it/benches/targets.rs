//! The figures that we are measured by, on a release server and a durable Postgres of its own.
//!
//! `cargo build --release && cargo bench -p filament-tests [-- sends|fanout|idle|toggle|start …]`
//!
//! Each line is one figure with how it came about. Server, Postgres and the load share the machine; CPU per operation is the
//! process's own time, read from `/proc`.

#![allow(clippy::disallowed_methods, reason = "a bench is a host of its own")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use filament_host::admin::{self, Ask};
use filament_test_support::{
    Backend, Channel, Guild, Person, Postgres, Server, Visibility,
    people::messages_of,
    process::cpu_seconds_of_family,
    raw::{Http, Socket, request},
};
use serde_json::json;
use tokio::{sync::Mutex, task::JoinSet};

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
            sends(&postgres, 1, 1).await;
            sends(&postgres, 1, 16).await;
            sends(&postgres, 16, 1).await;
        }
        if wants("history") {
            history(&postgres).await;
        }
        if wants("fanout") {
            reference();
            fanout(&postgres, 50, Duration::from_secs(10)).await;
            flood(&postgres).await;
        }
        if wants("idle") {
            idle(&postgres).await;
        }
        if wants("toggle") {
            toggle(&postgres).await;
        }
        if wants("start") {
            start(&postgres).await;
        }
    });
}

async fn server(postgres: &Arc<Postgres>) -> Server {
    Server::builder(Backend::Postgres)
        .database(postgres.create_database().await)
        .env("FILAMENT_LOG__FORMAT", "json")
        .config("[modules]\nchat = true\n")
        .start()
        .await
}

fn percentile(sorted: &[f64], of: f64) -> f64 {
    let index = ((sorted.len() as f64 - 1.0) * of).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// CPU seconds of the server and of Postgres.
struct Cpu {
    server: f64,
    postgres: f64,
}

impl Cpu {
    fn read(server: &Server, postgres: &Postgres) -> Self {
        Self {
            server: server.usage().cpu_seconds,
            postgres: cpu_seconds_of_family(postgres.pid()),
        }
    }

    /// Microseconds for each of `count` operations since.
    fn each(&self, now: &Self, count: u64) -> (f64, f64) {
        let micros = |before: f64, after: f64| (after - before) * 1e6 / count as f64;
        (
            micros(self.server, now.server),
            micros(self.postgres, now.postgres),
        )
    }
}

/// Acknowledged sends by 32 clients for ten seconds.
async fn sends(postgres: &Arc<Postgres>, guilds: usize, channels: usize) {
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
    latencies.sort_by(f64::total_cmp);
    let count = latencies.len() as u64;
    let (server_us, postgres_us) = before.each(&after, count);
    println!(
        "sends, 32 clients, {guilds} guild(s) x {channels} channel(s): {:.0}/s, p50 {:.1} ms, p99 {:.1} ms, {server_us:.0} us server and \
         {postgres_us:.0} us Postgres each",
        count as f64 / seconds,
        percentile(&latencies, 0.5),
        percentile(&latencies, 0.99),
    );
}

/// Pages of 50 messages by 32 clients, 10,000 stored.
async fn history(postgres: &Arc<Postgres>) {
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

async fn a_channel(server: &Server) -> (Person, Guild, Channel) {
    let ada = Person::register(server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Public).await;
    let channel = ada.open_channel(&guild, "general").await;
    (ada, guild, channel)
}

async fn subscribers(
    addr: SocketAddr,
    ada: &Person,
    guild: &Guild,
    channel: &Channel,
    count: usize,
) -> Vec<Socket> {
    let subscribe = json!({ "v": 1, "t": "subscribe", "d": { "guild_id": guild.guild_id, "channel_id": channel.channel_id } }).to_string();
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = Socket::open(addr, &ada.session.access_token)
            .await
            .expect("a socket");
        socket.send(&subscribe).await.expect("sent");
        socket.until("\"subscribed\"").await.expect("subscribed");
        sockets.push(socket);
    }
    sockets
}

/// What this machine takes for the same without a server: one thread that writes a frame of the same length to 1,000 sockets, 50 times a
/// second.
fn reference() {
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
async fn fanout(postgres: &Arc<Postgres>, per_second: u64, time: Duration) {
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
    latencies.sort_by(f64::total_cmp);
    println!(
        "send to receive, 1,000 subscribers, {per_second} messages/s: p50 {:.1} ms, p99 {:.1} ms, {server_us:.1} us server a delivery",
        percentile(&latencies, 0.5),
        percentile(&latencies, 0.99),
    );
}

/// Deliveries at full load: senders that wait for nobody but their acknowledgements.
async fn flood(postgres: &Arc<Postgres>) {
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

/// Memory of idle connections, and what it costs when all go.
async fn idle(postgres: &Arc<Postgres>) {
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
        empty as f64 / 1_048_576.0,
        full as f64 / 1_048_576.0,
        after.resident_bytes as f64 / 1_048_576.0,
        (after.cpu_seconds - before) * 1e6 / 10_000.0,
    );
    drop(warm);
}

async fn open(addr: SocketAddr, ada: &Person, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = Socket::open(addr, &ada.session.access_token)
            .await
            .expect("a socket");
        socket.until("\"ready\"").await.expect("ready");
        sockets.push(socket);
    }
    sockets
}

/// Time of a toggle, and what it does to requests to other modules at 2,000 a second.
async fn toggle(postgres: &Arc<Postgres>) {
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
            let report = admin::ask(&socket, Ask::Reload)
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
        latencies.sort_by(f64::total_cmp);
        commits.sort_by(f64::total_cmp);
        (
            latencies.len() as f64 / started.elapsed().as_secs_f64(),
            percentile(&latencies, 0.99),
            commits,
        )
    };
    let (_, calm, _) = load(Duration::from_secs(5), None).await;
    let (rate, busy, commits) = load(Duration::from_secs(10), Some(&server)).await;
    println!(
        "toggles: {} under {rate:.0} requests/s, plan to committed p50 {:.1} ms, max {:.1} ms; p99 of the others {calm:.2} ms -> {busy:.2} ms, none failed",
        commits.len(),
        percentile(&commits, 0.5),
        commits.last().copied().unwrap_or(f64::NAN),
    );
}

/// From the start of the process to a healthy answer, on a migrated database, and memory at rest.
async fn start(postgres: &Arc<Postgres>) {
    let mut server = server(postgres).await;
    let addr = server.addr();
    let health = request("GET", "/health", None, None);
    let mut times = Vec::new();
    server.terminate().await;
    for _ in 0..10 {
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
    server.start_again().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    times.sort_by(f64::total_cmp);
    println!(
        "start to healthy on a migrated database: p50 {:.0} ms, max {:.0} ms; at rest {:.1} MiB",
        percentile(&times, 0.5),
        times.last().copied().unwrap_or(f64::NAN),
        server.usage().resident_bytes as f64 / 1_048_576.0,
    );
}

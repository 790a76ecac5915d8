//! Sending messages, and reading them again.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use filament_test_support::{
    Person, Postgres, Server, Visibility,
    people::messages_of,
    raw::{Http, request},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    figures::{Cpu, percentile},
    world::{a_channel, server},
};

/// Clients that ask at the same time, each again as soon as it is answered.
const CLIENTS: usize = 32;

/// Acknowledged sends for ten seconds.
pub(crate) async fn sends(postgres: &Arc<Postgres>, guilds: usize, channels: usize) {
    let server = server(postgres).await;
    let ada = Person::register(&server, "ada").await;
    let mut sends = Vec::new();
    for g in 0..guilds {
        let guild = ada
            .found_guild(&format!("guild {g}"), Visibility::Public)
            .await;
        for c in 0..channels {
            let channel = ada.open_channel(&guild, &format!("channel {c}")).await;
            sends.push(send(&ada, &messages_of(&guild, &channel)));
        }
    }
    let cost = Cost::of(&server, postgres, &sends, Duration::from_secs(10)).await;
    println!("sends, {CLIENTS} clients, {guilds} guild(s) x {channels} channel(s): {cost}");
}

/// Pages of 50 messages, 10,000 stored.
pub(crate) async fn history(postgres: &Arc<Postgres>) {
    let server = server(postgres).await;
    let (ada, guild, channel) = a_channel(&server).await;
    let addr = server.addr();
    let path = messages_of(&guild, &channel);
    let mut writers = JoinSet::new();
    for _ in 0..CLIENTS {
        let send = send(&ada, &path);
        writers.spawn(async move {
            let mut http = Http::connect(addr).await.expect("connect");
            for _ in 0..313 {
                http.call(&send).await.expect("an answer");
            }
        });
    }
    while writers.join_next().await.is_some() {}
    let cost = Cost::of(
        &server,
        postgres,
        &[page(&ada, &path, "")],
        Duration::from_secs(5),
    )
    .await;
    println!("pages of 50, {CLIENTS} clients: {cost}");
}

/// Somebody sends a message to a path.
pub(crate) fn send(who: &Person, path: &str) -> Vec<u8> {
    let message = json!({ "content": "the quick brown fox jumps over the lazy dog" });
    let token = Some(&*who.session.access_token);
    request("POST", path, token, Some(&message.to_string()))
}

/// Somebody reads a page of 50 messages at a path; `more` of the query begins with `&` or is empty.
pub(crate) fn page(who: &Person, path: &str, more: &str) -> Vec<u8> {
    let token = Some(&*who.session.access_token);
    request("GET", &format!("{path}?limit=50{more}"), token, None)
}

/// What requests cost, each.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) server_us: f64,
    pub(crate) postgres_us: f64,
}

impl Cost {
    /// Asks for `requests` again and again, for a time.
    pub(crate) async fn of(
        server: &Server,
        postgres: &Postgres,
        requests: &[Vec<u8>],
        time: Duration,
    ) -> Self {
        let addr = server.addr();
        let requests: Arc<[Vec<u8>]> = requests.into();
        let before = Cpu::read(server, postgres);
        let started = Instant::now();
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let requests = requests.clone();
            clients.spawn(async move {
                let mut http = Http::connect(addr).await.expect("connect");
                let mut took = Vec::new();
                // As cards are dealt.
                let turns = (client..)
                    .step_by(CLIENTS)
                    .map(|turn| turn % requests.len());
                for turn in turns {
                    let asked = Instant::now();
                    if asked - started >= time {
                        break;
                    }
                    let (status, body) = http.call(&requests[turn]).await.expect("an answer");
                    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
                    took.push(asked.elapsed().as_secs_f64() * 1e3);
                }
                took
            });
        }
        let mut took = clients.join_all().await.concat();
        let seconds = started.elapsed().as_secs_f64();
        let count = took.len() as u64;
        let (server_us, postgres_us) = before.each(&Cpu::read(server, postgres), count);
        Self {
            per_second: count as f64 / seconds,
            p50_ms: percentile(&mut took, 0.5),
            p99_ms: percentile(&mut took, 0.99),
            server_us,
            postgres_us,
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0}/s, p50 {:.1} ms, p99 {:.1} ms, {:.0} us server and {:.0} us Postgres each",
            self.per_second, self.p50_ms, self.p99_ms, self.server_us, self.postgres_us
        )
    }
}

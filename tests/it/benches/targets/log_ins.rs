//! Logging in: how often, what it does to everybody else, and what the time that it takes gives away.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use argon2::Argon2;
use filament_test_support::{
    Person, Postgres, Server,
    people::{PASSWORD, messages_of},
    raw::{Http, request},
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    figures::{mib, percentile},
    world::{a_channel, builder},
};

/// How long each load lasts.
const TIME: Duration = Duration::from_secs(10);

/// The accounts that log in.
const ACCOUNTS: usize = 32;

/// Hashing as in production, and limits that this machine's one address does not meet.
async fn server(postgres: &Arc<Postgres>) -> Server {
    builder(postgres)
        .await
        .without_env("FILAMENT_AUTH__ARGON2_MEMORY_KIB")
        .without_env("FILAMENT_AUTH__ARGON2_ITERATIONS")
        .env("FILAMENT_AUTH__LOCKOUT_FAILURES", 1_000)
        .env("FILAMENT_AUTH__LOCKOUT_ADDRESS_FAILURES", 100_000)
        .start()
        .await
}

fn account(number: usize) -> String {
    format!("person{}", number % ACCOUNTS)
}

fn posted(route: &str, username: &str, password: &str) -> Vec<u8> {
    let account = json!({ "username": username, "password": password });
    request("POST", route, None, Some(&account.to_string()))
}

/// Log-ins a second of 4 clients beside what the machine allows, and what they do to others; then the same of 200 clients, of which most must
/// be told to come back: once they wait a second as they are told, once they do not.
pub(crate) async fn load(postgres: &Arc<Postgres>) {
    let server = server(postgres).await;
    for number in 0..ACCOUNTS {
        let body = posted("/auth/register", &account(number), PASSWORD);
        let mut http = Http::connect(server.addr()).await.expect("connect");
        assert_eq!(http.call(&body).await.expect("an answer").0, 200);
    }
    let others = Others::of(&server).await;
    let mut calm = others.wait(TIME).await;
    println!("without log-ins: {calm}");

    let before = limit();
    let log_ins = LogIns::start(server.addr(), 4, Duration::ZERO, |_| PASSWORD);
    let mut meanwhile = others.wait(TIME).await;
    let done = log_ins.stop().await;
    let limit = (before + limit()) / 2.0;
    println!(
        "log-ins, 4 clients: {:.1}/s ({:?}), {:.0} % of the {limit:.1}/s that two threads verify; meanwhile {meanwhile}, sends' p99 {:+.0} %",
        done.per_second,
        done.answers,
        done.per_second / limit * 100.0,
        meanwhile.more_than(&mut calm),
    );

    for (pause, manner) in [
        (Duration::from_secs(1), "come back after a second"),
        (Duration::ZERO, "come back at once"),
    ] {
        let resting = server.usage().resident_bytes;
        let one_in_four_is_wrong = |client: usize| match client % 4 {
            3 => "not the right password",
            _ => PASSWORD,
        };
        let log_ins = LogIns::start(server.addr(), 200, pause, one_in_four_is_wrong);
        let mut meanwhile = others.wait(TIME).await;
        let done = log_ins.stop().await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let usage = server.usage();
        println!(
            "log-ins, 200 clients that {manner}: {:.1}/s ({:?}); meanwhile {meanwhile}, sends' p99 {:+.0} %; memory {:.1} MiB before, {:.1} MiB \
             at most, {:.1} MiB after",
            done.per_second,
            done.answers,
            meanwhile.more_than(&mut calm),
            mib(resting),
            mib(usage.peak_resident_bytes),
            mib(usage.resident_bytes),
        );
    }
}

/// What the machine allows: passwords a second that two threads hash with the default parameters, which are the library's too.
fn limit() -> f64 {
    let started = Instant::now();
    let hash = || {
        let argon2 = Argon2::default();
        let mut hashed = 0_u32;
        while started.elapsed() < Duration::from_secs(5) {
            let mut hash = [0; 32];
            argon2
                .hash_password_into(PASSWORD.as_bytes(), b"sixteen bytes of", &mut hash)
                .expect("good parameters");
            std::hint::black_box(hash);
            hashed += 1;
        }
        f64::from(hashed)
    };
    let hashed = std::thread::scope(|scope| {
        let other = scope.spawn(hash);
        hash() + other.join().expect("a thread that hashes")
    });
    hashed / started.elapsed().as_secs_f64()
}

/// Clients that log in again and again.
struct LogIns {
    started: Instant,
    stop: Arc<AtomicBool>,
    clients: JoinSet<BTreeMap<u16, u64>>,
}

/// What became of the log-ins.
struct Done {
    /// Successful ones.
    per_second: f64,
    /// How many of each status.
    answers: BTreeMap<u16, u64>,
}

impl LogIns {
    /// Each client is one log-in under way; one that is refused for now waits for `pause`.
    fn start(
        addr: SocketAddr,
        clients: usize,
        pause: Duration,
        password: fn(usize) -> &'static str,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            let stop = stop.clone();
            let log_in = posted("/auth/login", &account(client), password(client));
            tasks.spawn(async move {
                let mut http = Http::connect(addr).await.expect("connect");
                let mut answers = BTreeMap::new();
                while !stop.load(Ordering::Relaxed) {
                    let (status, _) = http.call(&log_in).await.expect("an answer");
                    *answers.entry(status).or_default() += 1;
                    if matches!(status, 429 | 503) {
                        tokio::time::sleep(pause).await;
                    }
                }
                answers
            });
        }
        Self {
            started: Instant::now(),
            stop,
            clients: tasks,
        }
    }

    async fn stop(mut self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        let mut answers: BTreeMap<u16, u64> = BTreeMap::new();
        while let Some(client) = self.clients.join_next().await {
            for (status, count) in client.expect("a client") {
                *answers.entry(status).or_default() += count;
            }
        }
        let successful = answers.get(&200).copied().unwrap_or(0);
        Done {
            per_second: successful as f64 / self.started.elapsed().as_secs_f64(),
            answers,
        }
    }
}

/// Everybody else: 8 people who send 25 messages a second each, and a monitor that asks for the health 50 times a second.
struct Others {
    addr: SocketAddr,
    send: Vec<u8>,
}

/// Milliseconds that their requests took.
struct Waited {
    health: Vec<f64>,
    sends: Vec<f64>,
}

impl Others {
    async fn of(server: &Server) -> Self {
        let (ada, guild, channel) = a_channel(server).await;
        let message = json!({ "content": "the quick brown fox jumps over the lazy dog" });
        Self {
            addr: server.addr(),
            send: request(
                "POST",
                &messages_of(&guild, &channel),
                Some(&ada.session.access_token),
                Some(&message.to_string()),
            ),
        }
    }

    async fn wait(&self, time: Duration) -> Waited {
        let health = request("GET", "/health", None, None);
        let health = tokio::spawn(paced(self.addr, health, 50, time));
        let mut senders = JoinSet::new();
        for _ in 0..8 {
            senders.spawn(paced(self.addr, self.send.clone(), 25, time));
        }
        Waited {
            sends: senders.join_all().await.concat(),
            health: health.await.expect("the monitor"),
        }
    }
}

/// The milliseconds of each of `per_second` equal requests a second, from when it was due.
async fn paced(addr: SocketAddr, request: Vec<u8>, per_second: u32, time: Duration) -> Vec<f64> {
    let mut http = Http::connect(addr).await.expect("connect");
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut took = Vec::new();
    let started = Instant::now();
    while started.elapsed() < time {
        let due = tick.tick().await;
        let (status, _) = http.call(&request).await.expect("an answer");
        assert_eq!(status, 200);
        took.push(due.elapsed().as_secs_f64() * 1e3);
    }
    took
}

impl Waited {
    /// By how many percent the 99th percentile of the sends is above that of `calm`.
    fn more_than(&mut self, calm: &mut Self) -> f64 {
        (percentile(&mut self.sends, 0.99) / percentile(&mut calm.sends, 0.99) - 1.0) * 100.0
    }
}

impl std::fmt::Display for Waited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let both = |values: &[f64]| {
            let mut values = values.to_vec();
            let p50 = percentile(&mut values, 0.5);
            (p50, percentile(&mut values, 0.99))
        };
        let (health, sends) = (both(&self.health), both(&self.sends));
        write!(
            f,
            "/health p50 {:.1} ms, p99 {:.1} ms; sends p50 {:.1} ms, p99 {:.1} ms",
            health.0, health.1, sends.0, sends.1
        )
    }
}

/// Whether the time tells which accounts exist: a wrong password beside an unknown name, and registering a name that is taken beside one that
/// is free.
pub(crate) async fn timing(postgres: &Arc<Postgres>) {
    let server = server(postgres).await;
    Person::register(&server, "ada").await;
    let mut http = Http::connect(server.addr()).await.expect("connect");
    let wrong = |name: &str| posted("/auth/login", name, "not the right password");
    let register = |name: &str| posted("/auth/register", name, PASSWORD);
    compare(
        &mut http,
        401,
        ["a wrong password", "an unknown name"],
        |_| [wrong("ada"), wrong("eve")],
    )
    .await;
    compare(
        &mut http,
        200,
        ["registering a taken name", "a free name"],
        |round| [register("ada"), register(&format!("person_{round}"))],
    )
    .await;
}

/// Sends two requests 200 times each, in turns, and prints the medians of their times and of the two halves of the first: what chance does.
async fn compare(
    http: &mut Http,
    expected: u16,
    names: [&str; 2],
    requests: impl Fn(usize) -> [Vec<u8>; 2],
) {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..200 {
        let requests = requests(round);
        // Neither is always the one that comes after the other.
        for which in [round % 2, 1 - round % 2] {
            let sent = Instant::now();
            let (status, _) = http.call(&requests[which]).await.expect("an answer");
            assert_eq!(status, expected);
            times[which].push(sent.elapsed().as_secs_f64() * 1e3);
        }
    }
    let [first, second] = &mut times;
    let (mut early, mut late) = (first[..100].to_vec(), first[100..].to_vec());
    let difference = |one: f64, other: f64| (other / one - 1.0) * 100.0;
    let chance = difference(percentile(&mut early, 0.5), percentile(&mut late, 0.5));
    let medians = [percentile(first, 0.5), percentile(second, 0.5)];
    println!(
        "{}: median {:.2} ms; {}: {:.2} ms, {:+.1} %; the first with itself: {chance:+.1} %",
        names[0],
        medians[0],
        names[1],
        medians[1],
        difference(medians[0], medians[1]),
    );
}

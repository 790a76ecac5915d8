//! What was acknowledged is never lost, doubled or out of order.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use filament_test_support::{
    Backend, Person, Server, Visibility,
    http::Method,
    on_both_databases,
    people::messages_of,
    raw::{Http, request},
};
use serde_json::{Value, json};
use tokio::{sync::Mutex, task::JoinSet};

/// What one client had acknowledged, in its order: content and message id.
type Acknowledged = Vec<(String, String)>;

const CLIENTS: usize = 32;
const MESSAGES: usize = 10_000;
const KILLS: usize = 10;

on_both_databases!(
    ten_kills_among_ten_thousand_messages_lose_and_double_none,
    async |backend| {
        let mut server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let path = format!(
            "/guilds/{}/channels/{}/messages",
            guild.guild_id, channel.channel_id
        );
        let addr = server.addr();

        let acknowledged: Arc<Mutex<Vec<Acknowledged>>> =
            Arc::new(Mutex::new(vec![Vec::new(); CLIENTS]));
        let sent = Arc::new(AtomicUsize::new(0));
        let total = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (sent, total, acknowledged) = (sent.clone(), total.clone(), acknowledged.clone());
            let (path, token) = (path.clone(), ada.session.access_token.clone());
            clients.spawn(async move {
                let mut http = None;
                while total.load(Ordering::SeqCst) < MESSAGES {
                    let Some(connection) = &mut http else {
                        match Http::connect(addr).await {
                            Ok(connection) => http = Some(connection),
                            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                        }
                        continue;
                    };
                    let content = format!("{client}-{}", sent.fetch_add(1, Ordering::SeqCst));
                    let body = json!({ "content": content }).to_string();
                    match connection
                        .call(&request("POST", &path, Some(&token), Some(&body)))
                        .await
                    {
                        Ok((200, body)) => {
                            let message: Value = serde_json::from_slice(&body).expect("JSON");
                            let id = message["message_id"].as_str().expect("id").to_string();
                            acknowledged.lock().await[client].push((content, id));
                            total.fetch_add(1, Ordering::SeqCst);
                        }
                        Ok((503 | 408, _)) => {}
                        Ok((status, body)) => {
                            panic!("{status}: {}", String::from_utf8_lossy(&body))
                        }
                        Err(_) => http = None,
                    }
                }
            });
        }
        for kill in 1..=KILLS {
            while total.load(Ordering::SeqCst) < kill * MESSAGES / (KILLS + 1) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            server.kill9();
            server.start_again().await;
        }
        while let Some(done) = clients.join_next().await {
            done.expect("a client");
        }

        // The whole history, newest first.
        let mut history: Vec<(String, String)> = Vec::new();
        let mut http = Http::connect(addr).await.expect("connect");
        let mut before = String::new();
        loop {
            let page = request(
                "GET",
                &format!("{path}?limit=100{before}"),
                Some(&ada.session.access_token),
                None,
            );
            let (status, body) = http.call(&page).await.expect("history");
            assert_eq!(status, 200);
            let page: Value = serde_json::from_slice(&body).expect("JSON");
            for message in page["messages"].as_array().expect("messages") {
                let text = |key: &str| message[key].as_str().expect(key).to_string();
                history.push((text("content"), text("message_id")));
            }
            match page["next_before"].as_str() {
                Some(next) => before = format!("&before={next}"),
                None => break,
            }
        }
        history.reverse();

        let ids: BTreeSet<&String> = history.iter().map(|(_, id)| id).collect();
        let contents: BTreeSet<&String> = history.iter().map(|(content, _)| content).collect();
        assert_eq!(
            (ids.len(), contents.len()),
            (history.len(), history.len()),
            "nothing is there twice"
        );
        let place: BTreeMap<(&str, &str), usize> = history
            .iter()
            .enumerate()
            .map(|(place, (content, id))| ((content.as_str(), id.as_str()), place))
            .collect();
        let acknowledged = acknowledged.lock().await;
        let mut found = 0;
        for mine in acknowledged.iter() {
            let places: Vec<usize> = mine
                .iter()
                .map(|(content, id)| {
                    *place
                        .get(&(content.as_str(), id.as_str()))
                        .unwrap_or_else(|| panic!("{content} ({id}) was acknowledged and is lost"))
                })
                .collect();
            assert!(
                places.windows(2).all(|pair| pair[0] < pair[1]),
                "in the order of acknowledgement"
            );
            found += places.len();
        }
        assert!(found >= MESSAGES);
    }
);

on_both_databases!(
    a_stop_by_signal_says_come_back_and_ends_with_zero,
    async |backend| {
        let mut server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let mut ears = ada.listen().await;
        let said = ada.say(&guild, &channel, "last words").await;
        let status = server.terminate().await;
        assert_eq!(status.code(), Some(0), "{}", server.log());
        let closed = ears.closed().await;
        assert_eq!(closed.code, 1001);
        assert!(!closed.reason.is_empty());
        server.start_again().await;
        // Tokens issued before are still good.
        assert_eq!(ada.history(&guild, &channel).await, [said]);
    }
);

on_both_databases!(
    requests_under_way_are_finished_before_a_stop,
    async |backend| {
        let mut server = Server::start(backend).await;
        let api = server.api();
        let slow = tokio::spawn(async move { api.get("/slow?wait_ms=700").await });
        tokio::time::sleep(Duration::from_millis(200)).await;
        let status = server.terminate().await;
        assert_eq!(status.code(), Some(0));
        slow.await.expect("the request").expect(200);
    }
);

on_both_databases!(
    connections_that_go_nowhere_do_not_hold_up_a_stop,
    async |backend| {
        use tokio::{io::AsyncWriteExt, net::TcpStream};
        let mut server = Server::start(backend).await;
        let mut half = TcpStream::connect(server.addr()).await.expect("connect");
        half.write_all(b"GET /health HT")
            .await
            .expect("half a head");
        let mut body = TcpStream::connect(server.addr()).await.expect("connect");
        body.write_all(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{")
        .await
        .expect("half a body");
        let _silent = TcpStream::connect(server.addr()).await.expect("connect");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let status = server.terminate().await;
        assert!(matches!(status.code(), Some(0 | 75)), "{status:?}");
        let log = server.log();
        assert!(
            log.contains("the server has stopped"),
            "it went the whole way: {log}"
        );
    }
);

/// Files that may not grow any more stand for a disk that is full: the system answers a write with an error, also the one of a commit.
#[tokio::test]
async fn a_full_disk_refuses_and_when_there_is_room_again_what_is_acknowledged_is_kept() {
    let mut server = Server::start(Backend::Sqlite).await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Public).await;
    let channel = ada.open_channel(&guild, "general").await;
    server.terminate().await;
    // The same server, started so that a refused write is an error and not a signal that ends it.
    let plain = server.command();
    let mut command = Command::new("sh");
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut process = command
        .args(["-c", "trap '' XFSZ; exec \"$0\""])
        .arg(plain.get_program())
        .env("FILAMENT_BIND_ADDR", server.addr().to_string())
        .current_dir(server.data_dir())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh");
    let health = || server.api().request(Method::GET, "/health");
    while server.api().try_send(health()).await.is_err() {
        let ended = process.try_wait().expect("its state");
        assert!(ended.is_none(), "the server did not start: {ended:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let may_grow_to = |bytes: &str| {
        let done = Command::new("prlimit")
            .args([
                "--pid",
                &process.id().to_string(),
                &format!("--fsize={bytes}:"),
            ])
            .status();
        done.expect("prlimit (of util-linux)").success()
    };
    let send = async || {
        let body = json!({ "content": "x".repeat(1500) });
        let answer = ada.api.post(&messages_of(&guild, &channel), body).await;
        match answer.status {
            200 => Some(
                answer.body["message_id"]
                    .as_str()
                    .expect("an id")
                    .to_string(),
            ),
            503 => None,
            other => panic!("{other}: {}", answer.text),
        }
    };
    let wal = server.data_dir().join("filament.sqlite3-wal");
    let size = std::fs::metadata(wal).expect("the write-ahead log").len();
    assert!(may_grow_to(&(size + 40_000).to_string()));
    let mut acknowledged = Vec::new();
    let mut refused = 0;
    while refused < 3 {
        match send().await {
            Some(id) => acknowledged.push(id),
            None => refused += 1,
        }
        assert!(acknowledged.len() < 200, "the disk never was full");
    }
    assert!(may_grow_to("unlimited"));
    for _ in 0..10 {
        acknowledged.extend(send().await);
    }
    let kept = async || -> BTreeSet<String> {
        let history = ada.history(&guild, &channel).await;
        history
            .into_iter()
            .map(|message| message.message_id)
            .collect()
    };
    let expected: BTreeSet<String> = acknowledged.iter().cloned().collect();
    assert!(acknowledged.len() >= 10, "it recovers by itself");
    assert_eq!(kept().await, expected);
    process.kill().expect("it ran");
    process.wait().expect("it ended");
    server.start_again().await;
    assert_eq!(kept().await, expected, "also after a restart");
}

//! Switching modules on and off on a running server.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use filament_test_support::{
    Backend, GatewayClient, Person, Server, Visibility, on_both_databases,
    raw::{Http, Socket, request},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

fn on() -> &'static str {
    "[modules]\nchat = true\n"
}

fn off() -> &'static str {
    "[modules]\nchat = false\n"
}

on_both_databases!(
    a_module_that_is_switched_off_says_so_and_comes_back_with_its_data,
    async |backend| {
        let server = Server::builder(backend).config(on()).start().await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let said = ada.say(&guild, &channel, "before").await;
        let mut ears = ada.listen_in(&guild, &channel).await;

        server.write_config(off());
        server.cli(&["reload"]).await.expect(0);
        let down = ears.next_named("module_down").await;
        assert_eq!(down.data["module"], "chat");
        ada.api
            .get("/guilds")
            .await
            .expect_error(404, "module_disabled");
        ada.api.get("/auth/me").await.expect(200);
        ears.send(
            "message_create",
            json!({ "guild_id": guild.guild_id, "channel_id": channel.channel_id, "content": "x" }),
        )
        .await;
        let refused = ears.next_named("error").await;
        assert_eq!(refused.data["code"], "module_disabled");
        assert_eq!(refused.data["command"], "message_create");
        let modules = server.cli(&["modules", "--json"]).await.expect(0).json();
        assert_eq!(state_of(&modules, "chat"), "disabled");

        server.write_config(on());
        server.cli(&["reload"]).await.expect(0);
        let up = ears.next_named("module_up").await;
        assert_eq!(up.data["module"], "chat");
        assert!(up.data["generation"].as_u64() > down.data["generation"].as_u64());
        assert_eq!(
            ada.history(&guild, &channel).await,
            [said],
            "its data stayed"
        );
        // The same socket still hears its channel.
        let again = ada.say(&guild, &channel, "after").await;
        assert_eq!(
            ears.next_named("message_create").await.data["message_id"],
            json!(again.message_id)
        );
    }
);

fn state_of(modules: &Value, id: &str) -> String {
    modules["modules"]
        .as_array()
        .expect("modules")
        .iter()
        .find(|module| module["id"] == id)
        .and_then(|module| module["state"].as_str())
        .unwrap_or_else(|| panic!("no state of {id} in {modules}"))
        .to_string()
}

#[tokio::test]
async fn saving_the_file_is_enough_and_so_is_a_hang_up() {
    let server = Server::builder(Backend::Sqlite).config(on()).start().await;
    server.write_config(off());
    eventually("the saved file counts", async || {
        state_of(
            &server.cli(&["modules", "--json"]).await.expect(0).json(),
            "chat",
        ) == "disabled"
    })
    .await;
    // A file that is the same again is no change; SIGHUP reads it all the same.
    server.write_config(on());
    server.signal_hup();
    eventually("the hang-up counts", async || {
        state_of(
            &server.cli(&["modules", "--json"]).await.expect(0).json(),
            "chat",
        ) == "active"
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_a_link_into_another_folder_counts_too() {
    let mut server = Server::builder(Backend::Sqlite)
        .config(on())
        .prepare()
        .await;
    let elsewhere = tempfile::tempdir().expect("a folder");
    let target = elsewhere.path().join("settings.toml");
    std::fs::write(&target, on()).expect("the target");
    let file = server.config_file();
    std::fs::remove_file(&file).expect("the file");
    std::os::unix::fs::symlink(&target, &file).expect("a link");
    server.start_again().await;
    std::fs::write(&target, off()).expect("the target");
    eventually("the link's target counts", async || {
        state_of(
            &server.cli(&["modules", "--json"]).await.expect(0).json(),
            "chat",
        ) == "disabled"
    })
    .await;
}

#[tokio::test]
async fn what_others_require_is_not_switched_off_and_what_takes_a_restart_is_not_changed() {
    let server = Server::builder(Backend::Sqlite).config(on()).start().await;
    server.write_config("[modules]\nauth = false\n");
    let refused = server.cli(&["reload"]).await.expect(1);
    assert!(
        refused
            .stderr
            .contains("`chat` requires the port `accounts`"),
        "{}",
        refused.stderr
    );
    server.write_config("[database]\nmax_connections = 3\n");
    let refused = server.cli(&["reload"]).await.expect(1);
    assert!(
        refused
            .stderr
            .contains("database.max_connections cannot change while the server runs"),
        "{}",
        refused.stderr
    );
    server.api().get("/health").await.expect(200);
}

#[tokio::test]
async fn a_reload_prints_its_plan_and_applies_what_needs_no_replacement() {
    let server = Server::builder(Backend::Sqlite).config(on()).start().await;
    server.write_config(
        "[modules]\nchat = true\n[http]\nrequest_timeout_secs = 1\n[auth]\nlockout_secs = 7\n",
    );
    let report = server.cli(&["reload"]).await;
    // The file watch may have been first; then the command finds nothing left to do.
    let report = report.expect(0);
    if !report.stdout.contains("nothing changes") {
        for line in [
            "~ replace auth",
            "auth.lockout_secs",
            "~ replace chat",
            "requires auth",
            "~ reconfigure http.request_timeout_secs",
        ] {
            assert!(
                report.stdout.contains(line),
                "{line} is not in:\n{}",
                report.stdout
            );
        }
    }
    server
        .api()
        .get("/slow?wait_ms=1500")
        .await
        .expect_error(408, "request_timeout");
    server.api().get("/slow?wait_ms=100").await.expect(200);
}

#[tokio::test]
async fn the_level_of_the_log_changes_with_a_reload() {
    let server = Server::builder(Backend::Sqlite)
        .without_env("FILAMENT_LOG__LEVEL")
        .config("[log]\nlevel = \"info\"\n")
        .start()
        .await;
    let asked = async |mark: &str| {
        server
            .api()
            .get(&format!("/{mark}"))
            .await
            .expect_error(404, "not_found");
        server.log().contains(&format!("/{mark}"))
    };
    assert!(asked("at-info").await);
    server.write_config("[log]\nlevel = \"warn\"\n");
    server.cli(&["reload"]).await.expect(0);
    assert!(!asked("at-warn").await);
    server.write_config("[log]\nlevel = \"info\"\n");
    server.cli(&["reload"]).await.expect(0);
    assert!(asked("at-info-again").await);
}

/// Polls until `is_so`, within ten seconds.
async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !is_so().await {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "{what}: not within ten seconds"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// 20 toggles under load: requests to other modules at 500 a second and more, 200 open sockets, and a poller that compares the document
/// with the router.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_toggles_under_load_fail_no_request_and_close_no_socket() {
    let server = Server::builder(Backend::Sqlite).config(on()).start().await;
    let ada = Person::register(&server, "ada").await;
    let token = ada.session.access_token.clone();
    let addr = server.addr();
    let stop = Arc::new(AtomicBool::new(false));
    let answered = Arc::new(AtomicU64::new(0));
    let mut work = JoinSet::new();

    // Requests to a module that is not touched: every answer must be 200.
    for _ in 0..4 {
        let (stop, answered) = (stop.clone(), answered.clone());
        let me = request("GET", "/auth/me", Some(&token), None);
        work.spawn(async move {
            let mut http = Http::connect(addr).await.expect("connect");
            while !stop.load(Ordering::Relaxed) {
                let (status, _) = http.call(&me).await.expect("no reset");
                assert_eq!(status, 200);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    // Requests to the module that is toggled: 200, or the typed answers.
    let toggled: Arc<std::sync::Mutex<BTreeMap<String, u64>>> = Arc::default();
    for _ in 0..2 {
        let (stop, toggled) = (stop.clone(), toggled.clone());
        let guilds = request("GET", "/guilds", Some(&token), None);
        work.spawn(async move {
            let mut http = Http::connect(addr).await.expect("connect");
            while !stop.load(Ordering::Relaxed) {
                let (status, body) = http.call(&guilds).await.expect("no reset");
                let body: Value = serde_json::from_slice(&body).expect("JSON");
                let answer = match status {
                    200 => "ok".to_string(),
                    404 | 503 => body["error"].as_str().expect("typed").to_string(),
                    other => panic!("{other}: {body}"),
                };
                assert!(
                    ["ok", "module_disabled", "service_unavailable"].contains(&answer.as_str()),
                    "{answer}"
                );
                *toggled.lock().expect("counts").entry(answer).or_default() += 1;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }
    // The document and the router: what the same generation documents is routed, and the other way round.
    {
        let stop = stop.clone();
        let token = token.clone();
        work.spawn(async move {
            let mut http = Http::connect(addr).await.expect("connect");
            let document = request("GET", "/openapi.json", None, None);
            let guilds = request("GET", "/guilds", Some(&token), None);
            let has = |bytes: &[u8]| bytes.windows(9).any(|window| window == b"\"/guilds\"");
            while !stop.load(Ordering::Relaxed) {
                let (_, before) = http.call(&document).await.expect("document");
                let (status, _) = http.call(&guilds).await.expect("guilds");
                let (_, after) = http.call(&document).await.expect("document");
                // Only where no change came between can the three be compared.
                if before == after {
                    assert_eq!(has(&before), status == 200, "documented and routed differ");
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
    }
    let mut sockets = Vec::new();
    for _ in 0..200 {
        let mut socket = Socket::open(addr, &token).await.expect("a socket");
        socket.until("\"ready\"").await.expect("ready");
        sockets.push(socket);
    }

    let started = Instant::now();
    for toggle in 0..20 {
        server.write_config(if toggle % 2 == 0 { off() } else { on() });
        server.cli(&["reload"]).await.expect(0);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let rate = answered.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    while let Some(done) = work.join_next().await {
        done.expect("no failed request");
    }
    assert!(
        rate >= 500.0,
        "{rate:.0} requests a second are too few to show anything"
    );
    let toggled = toggled.lock().expect("counts").clone();
    assert!(
        toggled.contains_key("ok") && toggled.contains_key("module_disabled"),
        "{toggled:?}"
    );
    for socket in &mut sockets {
        for _ in 0..10 {
            socket
                .until("\"module_down\"")
                .await
                .expect("the socket is open and was told");
            socket
                .until("\"module_up\"")
                .await
                .expect("the socket is open and was told");
        }
    }
    server.api().get("/health").await.expect(200);
}

/// 200 cycles leave nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_cycles_return_everything() {
    let server = Server::builder(Backend::Sqlite)
        .binary("notes_server")
        .config("[modules]\nnotes = true\n")
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let _ears: GatewayClient = ada.listen().await;
    let cycle = async |count: usize| {
        for _ in 0..count {
            server.write_config("[modules]\nnotes = false\n");
            server.cli(&["reload"]).await.expect(0);
            server.write_config("[modules]\nnotes = true\n");
            server.cli(&["reload"]).await.expect(0);
            ada.api
                .post("/notes", json!({ "text": "x" }))
                .await
                .expect(200);
        }
    };
    let figures = async || {
        // What is counted settles: connections of the command line close, pools shrink.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let metrics = server.api().get("/metrics").await.text;
        let gauge = |name: &str| {
            metrics
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
                .unwrap_or_else(|| panic!("no metric {name} in {metrics}"))
        };
        let usage = server.usage();
        (
            gauge("filament_tasks"),
            gauge("filament_live_instances"),
            usage.open_files as f64,
            usage.threads as f64,
        )
    };
    cycle(5).await;
    let before = figures().await;
    cycle(200).await;
    let after = figures().await;
    assert_eq!(before.1, after.1, "module instances");
    // A few belong to connections that come and go; one left behind by each cycle would be 200.
    assert!(
        (after.0 - before.0).abs() <= 4.0,
        "tasks: {before:?} -> {after:?}"
    );
    assert!(
        (after.2 - before.2).abs() <= 4.0,
        "file descriptors: {before:?} -> {after:?}"
    );
    // The runtime keeps threads that may block for a while.
    assert!(
        (after.3 - before.3).abs() <= 16.0,
        "threads: {before:?} -> {after:?}"
    );
}

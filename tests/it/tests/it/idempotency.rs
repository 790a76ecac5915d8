//! `Idempotency-Key`: who asks again gets the first answer, and nothing is done again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use filament_host::{
    config::{self, Inputs},
    database,
};
use filament_kernel::db::Database;
use filament_test_support::{
    Answer, Api, Backend, Person, Postgres, Server, TestDatabase, Visibility, http::Method,
    on_both_databases, people::messages_of, raw,
};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

async fn post(api: &Api, path: &str, key: &str, body: &Value) -> Answer {
    let request = api
        .request(Method::POST, path)
        .header("idempotency-key", key)
        .json(body);
    api.send(request).await
}

fn is_replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == "true"
}

/// Asserts that `again` is the answer of `first`, given again to another request.
#[track_caller]
fn assert_replay(first: &Answer, again: &Answer) {
    assert!(!is_replayed(first) && is_replayed(again), "{again:?}");
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
}

async fn notes_server(backend: Backend) -> Server {
    Server::builder(backend)
        .binary("notes_server")
        .start()
        .await
}

async fn notes(person: &Person) -> usize {
    let page = person.api.get("/notes").await.expect(200);
    page.body["notes"].as_array().map_or(0, Vec::len)
}

async fn until_kept(person: &Person, count: usize) {
    while notes(person).await < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The server's database, opened beside it.
async fn open(database: &TestDatabase) -> Database {
    let loaded = config::load(&[], &[], &Inputs::default()).expect("defaults");
    let url = database.url.trim_end_matches("?mode=rwc");
    database::connect(url, &loaded.host.database)
        .await
        .expect("connect")
}

async fn execute(db: &Database, sql: &str) {
    db.writer().execute_unprepared(sql).await.expect(sql);
}

async fn stored_keys(db: &Database) -> i64 {
    let sql = "SELECT COUNT(*) FROM idempotency_keys";
    let row = db
        .read()
        .query_one_raw(Statement::from_string(db.backend(), sql))
        .await
        .expect("counts");
    row.expect("a row").try_get_by_index(0).expect("a number")
}

/// Servers that share a database share the key of their tokens.
const TOKEN_KEY: &str = "4242424242424242424242424242424242424242424242424242424242424242";

const A_DAY_MS: i64 = 24 * 3_600 * 1_000;

on_both_databases!(
    a_message_that_is_sent_again_is_written_once,
    async |backend| {
        let mut server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let messages = messages_of(&guild, &channel);
        let hello = json!({ "content": "hello" });
        let first = post(&ada.api, &messages, "one", &hello).await.expect(200);
        for _ in 0..3 {
            assert_replay(&first, &post(&ada.api, &messages, "one", &hello).await);
        }
        // The end of the process changes nothing: what was answered is stored.
        server.kill9();
        server.start_again().await;
        assert_replay(&first, &post(&ada.api, &messages, "one", &hello).await);
        // Another session of the same user is the same caller.
        let again = Person::log_in(&server, "ada").await;
        assert_replay(&first, &post(&again.api, &messages, "one", &hello).await);
        assert_eq!(ada.history(&guild, &channel).await.len(), 1);

        let second = post(&ada.api, &messages, "two", &hello).await.expect(200);
        assert_ne!(second.body["message_id"], first.body["message_id"]);
        ada.say(&guild, &channel, "without a key").await;
        assert_eq!(ada.history(&guild, &channel).await.len(), 3);
    }
);

on_both_databases!(
    fifty_of_the_same_at_once_are_one_message_and_one_event,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let mut ears = ada.listen_in(&guild, &channel).await;
        let messages = messages_of(&guild, &channel);
        let mut tries = JoinSet::new();
        for _ in 0..50 {
            let (api, messages) = (ada.api.clone(), messages.clone());
            tries.spawn(async move {
                let answer = post(&api, &messages, "one", &json!({ "content": "hi" })).await;
                let answer = answer.expect(200);
                (is_replayed(&answer), answer.bytes)
            });
        }
        let answers = tries.join_all().await;
        assert_eq!(answers.iter().filter(|(replayed, _)| !replayed).count(), 1);
        let distinct: BTreeSet<_> = answers.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(distinct.len(), 1);
        assert_eq!(ada.history(&guild, &channel).await.len(), 1);
        ears.next_named("message_create").await;
        ears.expect_silence().await;
    }
);

on_both_databases!(a_key_belongs_to_one_request_of_one_user, async |backend| {
    let server = notes_server(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let note = json!({ "text": "mine" });
    let first = post(&ada.api, "/notes", "one", &note).await.expect(200);
    let others = [
        ("/notes", json!({ "text": "another" })),
        ("/notes/clumsy", note.clone()),
        ("/notes?again", note.clone()),
    ];
    for (path, body) in &others {
        post(&ada.api, path, "one", body)
            .await
            .expect_error(409, "idempotency_key_reused");
    }
    assert_replay(&first, &post(&ada.api, "/notes", "one", &note).await);
    let of_bob = post(&bob.api, "/notes", "one", &note).await.expect(200);
    assert!(!is_replayed(&of_bob));
    assert_ne!(of_bob.body["note_id"], first.body["note_id"]);
    assert_eq!((notes(&ada).await, notes(&bob).await), (1, 1));

    for bad in ["", "two words", &"k".repeat(256)] {
        let refused = post(&ada.api, "/notes", bad, &note).await;
        let refused = refused.expect_error(400, "invalid_request");
        assert!(
            refused.message().starts_with("Idempotency-Key"),
            "{refused:?}"
        );
    }
    post(&ada.api, "/notes", &"k".repeat(255), &note)
        .await
        .expect(200);
    let long = json!({ "text": "x".repeat(1024 * 1024) });
    post(&ada.api, "/notes", "long", &long)
        .await
        .expect_error(413, "payload_too_large");
});

on_both_databases!(
    without_a_caller_or_a_change_the_header_means_nothing,
    async |backend| {
        let server = notes_server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let note = json!({ "text": "mine" });
        for nobody in [ada.api.without_token(), ada.api.with_token("nonsense")] {
            for key in ["one", "two words"] {
                post(&nobody, "/notes", key, &note)
                    .await
                    .expect_error(401, "invalid_credentials");
            }
        }
        // What hands out tokens is never kept, also when a token comes along.
        let account =
            json!({ "username": "ada", "password": filament_test_support::people::PASSWORD });
        let mut tokens = BTreeSet::new();
        for _ in 0..2 {
            let session = post(&ada.api, "/auth/login", "one", &account)
                .await
                .expect(200);
            assert!(!is_replayed(&session));
            tokens.insert(session.body["refresh_token"].to_string());
        }
        assert_eq!(tokens.len(), 2);
        for _ in 0..2 {
            let request = ada.api.request(Method::GET, "/notes");
            let read = ada.api.send(request.header("idempotency-key", "two words"));
            assert!(!is_replayed(&read.await.expect(200)));
        }
    }
);

on_both_databases!(
    a_refusal_is_given_again_and_what_passes_is_not,
    async |backend| {
        let server = notes_server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let empty = json!({ "text": "" });
        let first = post(&ada.api, "/notes", "empty", &empty).await;
        let first = first.expect_error(400, "invalid_request");
        let again = post(&ada.api, "/notes", "empty", &empty).await;
        let again = again.expect_error(400, "invalid_request");
        assert!(is_replayed(&again));
        assert_eq!(again.message(), first.message());
        assert_ne!(again.body["request_id"], first.body["request_id"]);

        // The handler keeps its note before it says so: each run can be counted.
        let mut count = 0;
        for (end, status, code) in [
            ("unavailable", 503, "service_unavailable"),
            ("limit", 429, "rate_limited"),
        ] {
            let clumsy = json!({ "text": end, "end": end });
            for _ in 0..2 {
                let answer = post(&ada.api, "/notes/clumsy", end, &clumsy).await;
                assert!(!is_replayed(&answer.expect_error(status, code)));
                count += 1;
                assert_eq!(notes(&ada).await, count);
            }
        }
        let secret = json!({ "text": "secret" });
        for _ in 0..2 {
            let answer = post(&ada.api, "/notes/secret", "secret", &secret).await;
            assert!(!is_replayed(&answer.expect(200)));
            count += 1;
        }
        // A panic may come before the work or after it.
        let panics = json!({ "text": "panic", "end": "panic" });
        post(&ada.api, "/notes/clumsy", "panic", &panics)
            .await
            .expect_error(500, "internal_error");
        for _ in 0..2 {
            post(&ada.api, "/notes/clumsy", "panic", &panics)
                .await
                .expect_error(409, "idempotency_unknown");
        }
        assert_eq!(notes(&ada).await, count + 1);
    }
);

on_both_databases!(
    a_kill_between_the_work_and_its_answer_is_told_and_nothing_is_done_twice,
    async |backend| {
        let mut server = notes_server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let slow = json!({ "text": "slow", "wait_millis": 60_000 });
        let asking = {
            let request = ada.api.request(Method::POST, "/notes/clumsy");
            let request = request.header("idempotency-key", "one").json(&slow);
            let api = ada.api.clone();
            tokio::spawn(async move { api.try_send(request).await })
        };
        until_kept(&ada, 1).await;
        server.kill9();
        assert!(asking.await.expect("a task").is_err(), "it has no answer");
        server.start_again().await;
        for _ in 0..2 {
            post(&ada.api, "/notes/clumsy", "one", &slow)
                .await
                .expect_error(409, "idempotency_unknown");
        }
        post(&ada.api, "/notes/clumsy", "one", &json!({ "text": "else" }))
            .await
            .expect_error(409, "idempotency_key_reused");
        assert_eq!(notes(&ada).await, 1);
    }
);

on_both_databases!(
    who_asks_again_through_every_kill_has_nothing_twice,
    async |backend| {
        const CLIENTS: usize = 8;
        const MESSAGES: usize = 60;
        const KILLS: usize = 4;
        let mut server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let path = messages_of(&guild, &channel);
        let done = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS {
            let (api, path, done) = (ada.api.clone(), path.clone(), done.clone());
            clients.spawn(async move {
                let mut fates = Vec::new();
                for number in 0..MESSAGES {
                    let content = format!("{client}-{number}");
                    let answer = loop {
                        let request = api
                            .request(Method::POST, &path)
                            .header("idempotency-key", &content)
                            .json(&json!({ "content": content }));
                        match api.try_send(request).await {
                            Ok(answer) if answer.status != 503 => break answer,
                            _ => tokio::time::sleep(Duration::from_millis(10)).await,
                        }
                    };
                    let written = match answer.status {
                        200 => true,
                        409 => {
                            answer.expect_error(409, "idempotency_unknown");
                            false
                        }
                        other => panic!("{other}: {}", answer.text),
                    };
                    fates.push((content, written));
                    done.fetch_add(1, Ordering::SeqCst);
                }
                fates
            });
        }
        for kill in 1..=KILLS {
            while done.load(Ordering::SeqCst) < kill * CLIENTS * MESSAGES / (KILLS + 1) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            server.kill9();
            server.start_again().await;
        }
        let fates: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
        let mut copies = BTreeMap::<String, usize>::new();
        for message in ada.history(&guild, &channel).await {
            *copies.entry(message.content).or_default() += 1;
        }
        for (content, written) in &fates {
            let copies = copies.get(content).copied().unwrap_or(0);
            assert!(copies <= 1, "{content} stands there {copies} times");
            assert!(copies == 1 || !written, "{content} is lost");
        }
        let unknown = fates.iter().filter(|(_, written)| !written).count();
        assert!(unknown <= KILLS * CLIENTS, "{unknown} unknown");
    }
);

on_both_databases!(
    who_hangs_up_or_waits_too_short_finds_the_answer_later,
    async |backend| {
        let server = Server::builder(backend)
            .binary("notes_server")
            .env("FILAMENT_HTTP__REQUEST_TIMEOUT_SECS", 1)
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        let slow = json!({ "text": "slow", "wait_millis": 500 });
        let body = slow.to_string();
        let token = Some(ada.session.access_token.as_str());
        let plain = raw::request("POST", "/notes/clumsy", token, Some(&body));
        let keyed = String::from_utf8(plain).expect("text").replacen(
            "\r\n",
            "\r\nidempotency-key: one\r\n",
            1,
        );
        let mut client = TcpStream::connect(server.addr()).await.expect("connect");
        client.write_all(keyed.as_bytes()).await.expect("send");
        until_kept(&ada, 1).await;
        drop(client);
        let found = post(&ada.api, "/notes/clumsy", "one", &slow)
            .await
            .expect(200);
        assert!(is_replayed(&found));

        let slower = json!({ "text": "slower", "wait_millis": 1_500 });
        post(&ada.api, "/notes/clumsy", "two", &slower)
            .await
            .expect_error(408, "request_timeout");
        let found = post(&ada.api, "/notes/clumsy", "two", &slower)
            .await
            .expect(200);
        assert!(is_replayed(&found));
        assert_eq!(found.body["text"], "slower");
        assert_eq!(notes(&ada).await, 2);
    }
);

on_both_databases!(a_stop_waits_for_what_nobody_waits_for, async |backend| {
    let mut server = Server::builder(backend)
        .binary("notes_server")
        .env("FILAMENT_HTTP__REQUEST_TIMEOUT_SECS", 1)
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let slow = json!({ "text": "slow", "wait_millis": 2_000 });
    post(&ada.api, "/notes/clumsy", "one", &slow)
        .await
        .expect_error(408, "request_timeout");
    assert_eq!(server.terminate().await.code(), Some(0));
    server.start_again().await;
    let found = post(&ada.api, "/notes/clumsy", "one", &slow)
        .await
        .expect(200);
    assert!(is_replayed(&found));
    assert_eq!(notes(&ada).await, 1);
});

on_both_databases!(a_key_is_free_again_after_a_day, async |backend| {
    let database = backend.database().await.expect("a database");
    let mut server = Server::builder(backend)
        .database(database.clone())
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let db = open(&database).await;
    let guild = json!({ "name": "engines" });
    let age = async |ms: i64| {
        let sql = format!("UPDATE idempotency_keys SET created_at_ms = created_at_ms - {ms}");
        execute(&db, &sql).await;
    };
    let first = post(&ada.api, "/guilds", "one", &guild).await.expect(200);
    age(A_DAY_MS - 60_000).await;
    assert_replay(&first, &post(&ada.api, "/guilds", "one", &guild).await);
    age(60_000).await;
    let second = post(&ada.api, "/guilds", "one", &json!({ "name": "other" })).await;
    let second = second.expect(200);
    assert!(!is_replayed(&second));
    assert_ne!(second.body["guild_id"], first.body["guild_id"]);

    age(A_DAY_MS).await;
    server.restart().await;
    while stored_keys(&db).await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
});

on_both_databases!(a_user_has_only_so_many_keys, async |backend| {
    let database = backend.database().await.expect("a database");
    let server = Server::builder(backend)
        .database(database.clone())
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let db = open(&database).await;
    let guild = json!({ "name": "engines" });
    let first = post(&ada.api, "/guilds", "one", &guild).await.expect(200);
    let (hash, numbers) = match backend {
        Backend::Sqlite => (
            "CAST(printf('%032d', n) AS BLOB)",
            "WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000)",
        ),
        Backend::Postgres => (
            "convert_to(lpad(n::text, 32, '0'), 'UTF8')",
            "WITH numbers(n) AS (SELECT generate_series(2, 10000))",
        ),
    };
    let columns = "fingerprint, server_id, created_at_ms";
    execute(
        &db,
        &format!(
            "{numbers} INSERT INTO idempotency_keys (user_id, key_hash, {columns}) \
             SELECT user_id, {hash}, {columns} FROM idempotency_keys, numbers"
        ),
    )
    .await;
    post(&ada.api, "/guilds", "too-many", &guild)
        .await
        .expect_error(429, "rate_limited");
    assert_replay(&first, &post(&ada.api, "/guilds", "one", &guild).await);
    ada.api.post("/guilds", &guild).await.expect(200);
    post(&bob.api, "/guilds", "one", &guild).await.expect(200);
});

on_both_databases!(
    retries_count_against_the_limits_of_requests_and_not_of_guilds,
    async |backend| {
        let server = Server::builder(backend)
            .env("FILAMENT_MAX_CREATED_GUILDS_PER_USER", 1)
            .env("FILAMENT_RATE_LIMIT_REQUESTS_PER_MINUTE", 40)
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        let guild = json!({ "name": "engines" });
        let first = post(&ada.api, "/guilds", "one", &guild).await.expect(200);
        for _ in 0..3 {
            assert_replay(&first, &post(&ada.api, "/guilds", "one", &guild).await);
        }
        for replayed in [false, true] {
            let over = post(&ada.api, "/guilds", "two", &guild).await;
            let over = over.expect_error(403, "guild_creation_limit_reached");
            assert_eq!(is_replayed(&over), replayed);
        }
        assert_eq!(ada.guilds().await.len(), 1);
        let mut limited = false;
        for _ in 0..40 {
            limited |= post(&ada.api, "/guilds", "one", &guild).await.status == 429;
        }
        assert!(limited);
    }
);

on_both_databases!(
    an_answer_outlives_the_switching_of_its_module,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = json!({ "name": "engines" });
        let first = post(&ada.api, "/guilds", "one", &guild).await.expect(200);
        server.write_config("[modules]\nchat = false\n");
        server.cli(&["reload"]).await.expect(0);
        for key in ["one", "two"] {
            post(&ada.api, "/guilds", key, &guild)
                .await
                .expect_error(404, "module_disabled");
        }
        server.write_config("");
        server.cli(&["reload"]).await.expect(0);
        assert_replay(&first, &post(&ada.api, "/guilds", "one", &guild).await);
        let second = post(&ada.api, "/guilds", "two", &guild).await.expect(200);
        assert!(!is_replayed(&second));
    }
);

#[tokio::test]
async fn a_database_that_goes_away_before_the_answer_is_stored_gets_it_later() {
    let Some(cluster) = Postgres::durable().await.map(Arc::new) else {
        return;
    };
    let server = Server::builder(Backend::Postgres)
        .binary("notes_server")
        .database(cluster.create_database().await)
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let begin = |key: &'static str, body: &Value| {
        let (api, body) = (ada.api.clone(), body.clone());
        tokio::spawn(async move { post(&api, "/notes/clumsy", key, &body).await })
    };
    let done = json!({ "text": "done", "wait_millis": 1_500 });
    let away = json!({ "text": "away", "wait_millis": 1_500, "end": "unavailable" });
    let first = begin("done", &done);
    let refused = begin("away", &away);
    until_kept(&ada, 2).await;
    cluster.stop_immediately().await;
    // What was done is answered as done, though that cannot be written down now.
    let first = first.await.expect("a task").expect(200);
    refused.await.expect("a task").expect(503);
    cluster.start().await;
    assert_replay(
        &first,
        &post(&ada.api, "/notes/clumsy", "done", &done).await,
    );
    // What was refused is free again: it runs, and is refused anew.
    let again = post(&ada.api, "/notes/clumsy", "away", &away).await;
    assert!(!is_replayed(
        &again.expect_error(503, "service_unavailable")
    ));
    assert_eq!(notes(&ada).await, 3);
}

/// Two servers behind one balancer: a retry may come to the other one.
#[tokio::test]
async fn a_retry_at_another_server_waits_for_the_answer_of_the_first() {
    let Some(database) = Backend::Postgres.database().await else {
        return;
    };
    let start = async || {
        Server::builder(Backend::Postgres)
            .binary("notes_server")
            .database(database.clone())
            .env("FILAMENT_AUTH__TOKEN_KEY", TOKEN_KEY)
            .start()
            .await
    };
    let (one, other) = (start().await, start().await);
    let ada = Person::register(&one, "ada").await;
    let there = other.api().with_token(&ada.session.access_token);
    let slow = json!({ "text": "slow", "wait_millis": 1_000 });
    let first = {
        let (api, slow) = (ada.api.clone(), slow.clone());
        tokio::spawn(async move { post(&api, "/notes/clumsy", "one", &slow).await })
    };
    until_kept(&ada, 1).await;
    let again = post(&there, "/notes/clumsy", "one", &slow)
        .await
        .expect(200);
    assert_replay(&first.await.expect("a task").expect(200), &again);
    assert_eq!(notes(&ada).await, 1);

    // A claim of a server that is gone for good stands for something unknown as soon as nobody can be at work on it.
    let db = open(&database).await;
    execute(
        &db,
        "UPDATE idempotency_keys SET status = NULL, created_at_ms = created_at_ms - 400000",
    )
    .await;
    post(&there, "/notes/clumsy", "one", &slow)
        .await
        .expect_error(409, "idempotency_unknown");
}

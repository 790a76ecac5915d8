//! HTTP at its edges: what is half-sent, too long, too slow, too often, or from somebody who is not who they say.

use std::time::{Duration, Instant};

use filament_test_support::{Backend, Person, Server, http::Method, on_both_databases};
use filament_tests::notes::WEIGHED_BYTES;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Sends bytes as they are and reads until the server closes.
async fn exchange(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.addr()).await.expect("connect");
    stream.write_all(bytes).await.expect("send");
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), reading)
        .await
        .expect("the server ends it")
        .ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_half_sent_request_is_ended_and_an_idle_connection_is_kept() {
    let server = Server::builder(Backend::Sqlite)
        .env("FILAMENT_HTTP__HEADER_TIMEOUT_SECS", 1)
        .env("FILAMENT_HTTP__IDLE_TIMEOUT_SECS", 30)
        .start()
        .await;
    let started = Instant::now();
    exchange(&server, b"GET /health HTTP/1.1\r\nhost: x\r\nx-slow: ").await;
    assert!(started.elapsed() < Duration::from_secs(8));

    let mut idle = TcpStream::connect(server.addr()).await.expect("connect");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .expect("send");
    let mut answer = String::new();
    idle.read_to_string(&mut answer).await.expect("read");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn nobody_is_sent_their_own_long_body_back_as_an_error() {
    let server = Server::start(Backend::Sqlite).await;
    let mut body = serde_json::Map::new();
    body.insert("x".repeat(500_000), Value::from(1));
    let refused = server.api().post("/echo", &body).await;
    let refused = refused.expect_error(400, "invalid_request");
    assert!(
        refused.text.len() < 5_000,
        "{} bytes of answer",
        refused.text.len()
    );
}

#[tokio::test]
async fn the_metrics_are_not_for_everybody_behind_a_proxy_that_nobody_named() {
    let server = Server::start(Backend::Sqlite).await;
    server.api().get("/metrics").await.expect(200);
    let forwarded = server
        .api()
        .request(Method::GET, "/metrics")
        .header("x-forwarded-for", "203.0.113.9");
    let refused = server.api().send(forwarded).await;
    refused.expect_error(403, "forbidden");
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_while_it_is_read_and_also_without_a_length() {
    let server = Server::builder(Backend::Sqlite)
        .env("FILAMENT_HTTP__MAX_JSON_BODY_BYTES", 2000)
        .start()
        .await;
    let long = json!({ "message": "x".repeat(3000) });
    server
        .api()
        .post("/echo", &long)
        .await
        .expect_error(413, "payload_too_large");
    let short = json!({ "message": "x".repeat(1000) });
    server.api().post("/echo", &short).await.expect(200);

    let mut chunked = String::from(
        "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    for _ in 0..5 {
        chunked.push_str(&format!("400\r\n{}\r\n", "x".repeat(0x400)));
    }
    let answer = exchange(&server, chunked.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_is_too_long_by_its_own_word_is_refused_before_it_is_sent() {
    let server = Server::builder(Backend::Sqlite)
        .env("FILAMENT_HTTP__MAX_JSON_BODY_BYTES", 2000)
        .binary("notes_server")
        .start()
        .await;
    for (path, length) in [("/echo", 2001), ("/notes/weigh", WEIGHED_BYTES + 1)] {
        // Reading the body would answer `100 Continue` first.
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        let answer = exchange(&server, head.as_bytes()).await;
        assert!(
            answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"),
            "{path}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_raw_body_is_bounded_by_its_handler_and_not_by_the_bound_on_json() {
    let server = Server::builder(Backend::Sqlite)
        .env("FILAMENT_HTTP__MAX_JSON_BODY_BYTES", 2000)
        .binary("notes_server")
        .start()
        .await;
    let weigh = |body: Vec<u8>| {
        let api = server.api();
        async move {
            let request = api.request(Method::POST, "/notes/weigh").body(body);
            api.send(request).await
        }
    };
    let weight = weigh(vec![0; WEIGHED_BYTES]).await.expect(200).body;
    assert_eq!(weight, json!({ "declared": null, "bytes": WEIGHED_BYTES }));
    // All of it is on its way when the answer is known; the answer arrives all the same.
    let refused = weigh(vec![0; WEIGHED_BYTES + 1]).await;
    let refused = refused.expect_error(413, "payload_too_large");
    assert!(refused.message().contains(&WEIGHED_BYTES.to_string()));

    let chunked = |chunks: usize| {
        let mut request = String::from(
            "POST /notes/weigh HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: Image/PNG; a=b\r\ntransfer-encoding: chunked\r\n\r\n",
        );
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        request.push_str(&chunk.repeat(chunks));
        request.push_str("0\r\n\r\n");
        request
    };
    let fits = WEIGHED_BYTES / 0x10000;
    let answer = exchange(&server, chunked(fits).as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.contains("\"image/png\""),
        "{answer}"
    );
    let answer = exchange(&server, chunked(fits + 1).as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 413") && answer.contains("payload_too_large"),
        "{answer}"
    );
    let json = json!({ "message": "x".repeat(3000) });
    server
        .api()
        .post("/echo", json)
        .await
        .expect_error(413, "payload_too_large");
}

#[tokio::test]
async fn headers_over_the_limit_are_refused() {
    let server = Server::start(Backend::Sqlite).await;
    for (length, accepted) in [(60_000, true), (70_000, false), (200_000, false)] {
        let request = format!(
            "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-long: {}\r\n\r\n",
            "y".repeat(length)
        );
        let answer = exchange(&server, request.as_bytes()).await;
        assert_eq!(
            answer.starts_with("HTTP/1.1 200"),
            accepted,
            "{length}: {}",
            answer.lines().next().unwrap_or("ended")
        );
    }
}

#[tokio::test]
async fn every_failure_has_the_same_shape_also_those_of_the_framework() {
    let server = Server::start(Backend::Sqlite).await;
    let api = server.api();
    api.get("/nowhere").await.expect_error(404, "not_found");
    let wrong_method = api
        .delete("/echo")
        .await
        .expect_error(405, "method_not_allowed");
    assert_eq!(wrong_method.header("allow"), "POST");
    let wrong_method = api
        .post("/openapi.json", json!({}))
        .await
        .expect_error(405, "method_not_allowed");
    assert_eq!(wrong_method.header("allow"), "GET");
    api.post("/echo", json!({ "message": "" }))
        .await
        .expect_error(400, "invalid_request");
    let unknown = api
        .post("/echo", json!({ "message": "x", "to": "y" }))
        .await
        .expect_error(400, "invalid_request");
    assert!(unknown.message().contains("to"), "{}", unknown.message());
    api.get("/slow?wait_ms=never")
        .await
        .expect_error(400, "invalid_request");
    api.get("/auth/me")
        .await
        .expect_error(401, "invalid_credentials");
    api.with_token("v4.local.nonsense")
        .get("/auth/me")
        .await
        .expect_error(401, "invalid_credentials");
    for (body, content_type, expected) in [
        ("{\"message\":", "application/json", "HTTP/1.1 400"),
        (
            "{\"message\":\"a\",\"message\":\"b\"}",
            "application/json",
            "HTTP/1.1 400",
        ),
        (
            "{\"message\":\"\\u0000\"}",
            "application/json",
            "HTTP/1.1 400",
        ),
        (
            "{\"message\":\"\\ud800\"}",
            "application/json",
            "HTTP/1.1 400",
        ),
        (
            "message=x",
            "application/x-www-form-urlencoded",
            "HTTP/1.1 415",
        ),
    ] {
        let request = format!(
            "POST /echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = exchange(&server, request.as_bytes()).await;
        assert!(
            answer.starts_with(expected) && answer.contains("\"request_id\""),
            "{body}: {answer}"
        );
    }
    api.post("/echo", json!({ "message": "hello" }))
        .await
        .expect(200);
}

#[tokio::test]
async fn what_cannot_be_read_is_told_by_the_name_of_its_field() {
    let server = Server::start(Backend::Sqlite).await;
    let ada = Person::register(&server, "ada").await;
    let no_id = "must be an id: 26 upper-case characters of Crockford's base 32";
    let no_integer = "must be a number without a fraction";
    let avatar = format!("/users/{}/avatar?v=x", ada.user_id);
    for (answer, message) in [
        (
            ada.api
                .post("/friends/requests", json!({ "recipient_user_id": "x" }))
                .await,
            format!("recipient_user_id: {no_id}"),
        ),
        (
            ada.api
                .post("/users/lookup", json!({ "user_ids": [ada.user_id, "x"] }))
                .await,
            format!("user_ids[1]: {no_id}"),
        ),
        (
            ada.api.get("/users/x/profile").await,
            format!("user_id: {no_id}"),
        ),
        (ada.api.get(&avatar).await, format!("v: {no_integer}")),
    ] {
        let answer = answer.expect_error(400, "invalid_request");
        assert_eq!(answer.message(), message);
    }
    // Where a path is a route of its own, it is none with a parameter.
    let wrong = ada.api.get("/users/me/profile").await;
    let wrong = wrong.expect_error(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "PATCH");
}

#[tokio::test]
async fn limits_are_true_rates_by_address_and_announce_themselves() {
    let server = Server::builder(Backend::Sqlite)
        .env("FILAMENT_RATE_LIMIT_REQUESTS_PER_MINUTE", 60)
        .start()
        .await;
    let api = server.api();
    let first = api.get("/nowhere").await;
    assert_eq!(first.header("ratelimit-policy"), "\"address\";q=60;w=60");
    let mut allowed = 1;
    let refused = loop {
        let answer = api.get("/nowhere").await;
        if answer.status == 429 {
            break answer.expect_error(429, "rate_limited");
        }
        allowed += 1;
        assert!(allowed < 80, "no limit");
    };
    assert!((60..=66).contains(&allowed), "{allowed} at once");
    assert_eq!(
        refused.header("retry-after"),
        "1",
        "one more after a second, not after a minute"
    );
    assert_eq!(refused.header("ratelimit-policy"), "\"address\";q=60;w=60");
    assert_eq!(refused.header("ratelimit"), "\"address\";r=0;t=1");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(api.get("/nowhere").await.status, 404);
    server.api().get("/health").await.expect(200);
}

#[tokio::test]
async fn a_forwarded_address_counts_only_from_a_configured_proxy() {
    let count = async |server: &Server| {
        let mut allowed = 0;
        for n in 0..30 {
            let request = format!(
                "GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-forwarded-for: 198.51.100.{n}\r\n\r\n"
            );
            allowed += u32::from(
                exchange(server, request.as_bytes())
                    .await
                    .starts_with("HTTP/1.1 404"),
            );
        }
        allowed
    };
    let open = Server::builder(Backend::Sqlite)
        .env("FILAMENT_RATE_LIMIT_REQUESTS_PER_MINUTE", 10)
        .start()
        .await;
    assert!(
        count(&open).await <= 12,
        "who forges the header gains nothing"
    );
    let behind = Server::builder(Backend::Sqlite)
        .env("FILAMENT_RATE_LIMIT_REQUESTS_PER_MINUTE", 10)
        .env("FILAMENT_TRUSTED_PROXY_CIDRS", "127.0.0.0/8")
        .start()
        .await;
    assert_eq!(count(&behind).await, 30, "thirty clients behind a proxy");
}

#[tokio::test]
async fn figures_are_for_configured_networks_only() {
    let server = Server::builder(Backend::Sqlite)
        .env("FILAMENT_HTTP__METRICS_ALLOWED_CIDRS", "10.0.0.0/8")
        .start()
        .await;
    server
        .api()
        .get("/metrics")
        .await
        .expect_error(403, "forbidden");
    let open = Server::start(Backend::Sqlite).await;
    let text = open.api().get("/metrics").await.expect(200).text;
    assert!(text.contains("filament_generation"), "{text}");
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_accept_it() {
    let server = Server::start(Backend::Sqlite).await;
    for coding in ["zstd", "br", "gzip"] {
        let request = format!(
            "GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\naccept-encoding: {coding}\r\n\r\n"
        );
        let answer = exchange(&server, request.as_bytes()).await;
        assert!(
            answer.contains(&format!("content-encoding: {coding}")),
            "{coding}: {}",
            answer.lines().next().unwrap_or("")
        );
        assert!(answer.to_lowercase().contains("vary: accept-encoding"));
    }
    let plain = exchange(
        &server,
        b"GET /openapi.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(!plain.contains("content-encoding"));
}

#[tokio::test]
async fn no_token_and_no_query_string_reaches_the_log() {
    let server = Server::builder(Backend::Sqlite)
        .env("FILAMENT_LOG__LEVEL", "trace")
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    server
        .api()
        .get("/slow?wait_ms=1&secret=in-the-query")
        .await;
    let _ears = filament_test_support::GatewayClient::connect_by_query(&ada.api).await;
    let log = server.log();
    assert!(
        log.contains("/gateway/ws") && log.contains("/slow"),
        "{log}"
    );
    for secret in [
        "in-the-query",
        &ada.session.access_token,
        &ada.session.refresh_token,
        "access_token=",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

on_both_databases!(
    a_production_server_starts_with_what_the_deployment_guide_names,
    async |backend: Backend| {
        if backend == Backend::Sqlite {
            // Refused: see the stories about configuration.
            return;
        }
        let attachments = tempfile::tempdir().expect("a folder");
        let server = Server::builder(backend)
            .env("FILAMENT_PROFILE", "production")
            .env("FILAMENT_ATTACHMENT_ROOT", attachments.path().display())
            .env("FILAMENT_LIVEKIT_API_KEY", "key")
            .env("FILAMENT_LIVEKIT_API_SECRET", "a secret of livekit")
            .env("FILAMENT_LIVEKIT_URL", "ws://livekit:7880")
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        ada.api.get("/auth/me").await.expect(200);
        let log = server.log();
        let line = log
            .lines()
            .find(|line| line.starts_with('{'))
            .expect("a line of JSON");
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert!(
            line["level"].is_string() && line["timestamp"].is_string(),
            "{line}"
        );
        assert!(!log.contains("a secret of livekit"));
    }
);

#[tokio::test]
async fn the_page_of_swagger_ui_follows_the_live_document_and_fetches_nothing_from_elsewhere() {
    let server = Server::start(Backend::Sqlite).await;
    let page = exchange(
        &server,
        b"GET /docs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(
        page.contains("url: url") && page.contains("'/openapi.json'"),
        "the page reads the live document"
    );
    assert!(
        !page.contains("src=\"http") && !page.contains("href=\"http"),
        "nothing from elsewhere"
    );
}

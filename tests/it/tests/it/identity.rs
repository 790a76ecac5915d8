//! Who one is, and where one is logged in: seen from outside.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use filament_test_support::{
    Api, GatewayClient, Person, Server, on_both_databases, people::PASSWORD,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use crate::sessions::security_line;

/// What an end may take until everything of the session is dead.
const SOON: Duration = Duration::from_secs(1);

const NEW: &str = "another good password";

/// A key as an operator makes one, of a repeated byte.
fn key(byte: &str) -> String {
    byte.repeat(32)
}

/// Everything of the session is dead within a second of `since`, its sockets with the code that says so.
async fn is_dead(server: &Server, person: &Person, ears: &mut GatewayClient, since: Instant) {
    assert_eq!(ears.closed().await.code, 1008);
    person
        .api
        .get("/auth/me")
        .await
        .expect_error(401, "invalid_credentials");
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    let bearer = format!("Bearer {}", person.session.access_token);
    GatewayClient::refused(&server.api(), "", &[("authorization", &bearer)])
        .await
        .expect_error(401, "invalid_credentials");
    let token = json!({ "refresh_token": person.session.refresh_token });
    server
        .api()
        .post("/auth/refresh", token)
        .await
        .expect_error(401, "invalid_credentials");
}

async fn log_in(api: &Api, username: &str, password: &str) -> filament_test_support::Answer {
    let credentials = json!({ "username": username, "password": password });
    api.post("/auth/login", credentials).await
}

on_both_databases!(
    a_session_that_its_owner_ends_is_dead_at_once_and_the_other_stays,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let lost = Person::log_in(&server, "ada").await;
        let eve = Person::register(&server, "eve").await;
        let mut ears = ada.listen().await;
        let mut lost_ears = lost.listen().await;

        let list = ada.api.get("/auth/sessions").await.expect(200);
        let sessions = list.body["sessions"].as_array().expect("a list");
        let ids: Vec<&str> = sessions
            .iter()
            .map(|session| session["session_id"].as_str().expect("an id"))
            .collect();
        assert_eq!(ids, [lost.session.id(), ada.session.id()]);
        assert_eq!(sessions[0]["current"], false);
        assert_eq!(sessions[1]["current"], true);
        assert_eq!(sessions[0]["network"], "127.0.0.0/24");

        let path = format!("/auth/sessions/{}", lost.session.id());
        eve.api.delete(&path).await.expect_error(404, "not_found");
        lost_ears.expect_silence().await;
        let asked = Instant::now();
        ada.api.delete(&path).await.expect(204);
        is_dead(&server, &lost, &mut lost_ears, asked).await;
        ada.api.delete(&path).await.expect_error(404, "not_found");
        ada.api
            .delete("/auth/sessions/mine")
            .await
            .expect_error(400, "invalid_request");
        ears.expect_silence().await;
        ada.api.get("/auth/me").await.expect(200);
    }
);

on_both_databases!(
    ending_all_other_sessions_leaves_the_one_that_asks,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let lost = Person::log_in(&server, "ada").await;
        let mut ears = ada.listen().await;
        let mut lost_ears = lost.listen().await;
        let asked = Instant::now();
        ada.api.delete("/auth/sessions").await.expect(204);
        is_dead(&server, &lost, &mut lost_ears, asked).await;
        ears.expect_silence().await;
        let list = ada.api.get("/auth/sessions").await.expect(200);
        assert_eq!(list.body["sessions"].as_array().map(Vec::len), Some(1));
    }
);

on_both_databases!(a_new_password_ends_all_other_sessions, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let lost = Person::log_in(&server, "ada").await;
    let mut ears = ada.listen().await;
    let mut lost_ears = lost.listen().await;
    let change = |from: &str| json!({ "current_password": from, "new_password": NEW });
    ada.api
        .post("/auth/password", change("not the password"))
        .await
        .expect_error(401, "invalid_credentials");
    let same = ada.api.post("/auth/password", change(NEW)).await;
    let same = same.expect_error(400, "invalid_request");
    assert!(same.message().starts_with("new_password: "), "{same:?}");
    let asked = Instant::now();
    ada.api
        .post("/auth/password", change(PASSWORD))
        .await
        .expect(204);
    is_dead(&server, &lost, &mut lost_ears, asked).await;
    ears.expect_silence().await;
    ada.api.get("/auth/me").await.expect(200);
    log_in(&server.api(), "ada", PASSWORD)
        .await
        .expect_error(401, "invalid_credentials");
    log_in(&server.api(), "ada", NEW).await.expect(200);
});

on_both_databases!(
    an_account_that_the_operator_switches_off_is_out_at_once,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let eve = Person::register(&server, "eve").await;
        let mut ears = ada.listen().await;
        let asked = Instant::now();
        server
            .cli(&["admin", "user", "disable", "ada"])
            .await
            .expect(0);
        is_dead(&server, &ada, &mut ears, asked).await;
        let off = log_in(&server.api(), "ada", PASSWORD)
            .await
            .expect_error(401, "invalid_credentials");
        let unknown = log_in(&server.api(), "nobody", PASSWORD)
            .await
            .expect_error(401, "invalid_credentials");
        assert_eq!(off.message(), unknown.message());
        eve.api.get("/auth/me").await.expect(200);
        server
            .cli(&["admin", "user", "enable", "ada"])
            .await
            .expect(0);
        log_in(&server.api(), "ada", PASSWORD).await.expect(200);
    }
);

on_both_databases!(
    an_address_that_guesses_too_often_waits_while_its_sessions_go_on,
    async |backend| {
        let server = Server::builder(backend)
            .env("FILAMENT_AUTH__LOCKOUT_ADDRESS_FAILURES", 6)
            .start()
            .await;
        let mut ada = Person::register(&server, "ada").await;
        let api = server.api();
        for guess in 0..6 {
            log_in(&api, &format!("name{guess}"), PASSWORD)
                .await
                .expect_error(401, "invalid_credentials");
        }
        let refused = log_in(&api, "ada", PASSWORD)
            .await
            .expect_error(429, "rate_limited");
        let wait: u64 = refused.header("retry-after").parse().expect("seconds");
        assert!((1..=30).contains(&wait), "{wait}");
        ada.refresh().await;
        ada.api.get("/auth/me").await.expect(200);
    }
);

on_both_databases!(
    a_refused_log_in_is_in_the_security_log_with_where_it_came_from,
    async |backend| {
        let server = Server::builder(backend)
            .env("FILAMENT_LOG__FORMAT", "json")
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        let typed = "my password in the wrong field";
        let refused = log_in(&server.api(), "ada", typed)
            .await
            .expect_error(401, "invalid_credentials");
        let line = security_line(&server, &refused).to_string();
        assert!(line.contains(&ada.user_id), "{line}");
        assert!(line.contains("127.0.0.1"), "{line}");
        assert!(!server.log().contains(typed));
    }
);

on_both_databases!(
    a_key_is_rotated_without_logging_anybody_out_and_revoked_when_it_is_forgotten,
    async |backend| {
        let (old, new) = (key("11"), key("22"));
        let config = |current: &str, previous: &str| {
            format!("[auth]\ntoken_key = \"{current}\"\ntoken_keys_previous = \"{previous}\"\n")
        };
        let server = Server::builder(backend)
            .config(&config(&old, ""))
            .start()
            .await;
        let mut ada = Person::register(&server, "ada").await;
        let before = ada.session.access_token.clone();
        let mut old_ears = ada.listen().await;

        server.write_config(&config(&new, &old));
        server.cli(&["reload"]).await.expect(0);
        ada.api.get("/auth/me").await.expect(200);
        ada.refresh().await;
        ada.api.get("/auth/me").await.expect(200);
        let made_with_the_old = server.api().with_token(&before);
        made_with_the_old.get("/auth/me").await.expect(200);
        let mut new_ears = ada.listen().await;
        old_ears.expect_silence().await;

        server.write_config(&config(&new, ""));
        server.cli(&["reload"]).await.expect(0);
        made_with_the_old
            .get("/auth/me")
            .await
            .expect_error(401, "invalid_credentials");
        ada.api.get("/auth/me").await.expect(200);
        ada.refresh().await;
        ada.api.get("/auth/me").await.expect(200);
        assert_eq!(old_ears.closed().await.code, 1008);
        new_ears.expect_silence().await;
    }
);

on_both_databases!(
    a_key_that_got_out_is_revoked_at_once_and_people_refresh,
    async |backend| {
        let config = |current: &str| format!("[auth]\ntoken_key = \"{current}\"\n");
        let server = Server::builder(backend)
            .config(&config(&key("11")))
            .start()
            .await;
        let mut ada = Person::register(&server, "ada").await;
        let mut ears = ada.listen().await;
        server.write_config(&config(&key("22")));
        server.cli(&["reload"]).await.expect(0);
        assert_eq!(ears.closed().await.code, 1008);
        ada.api
            .get("/auth/me")
            .await
            .expect_error(401, "invalid_credentials");
        ada.refresh().await;
        ada.api.get("/auth/me").await.expect(200);
        ada.listen().await.expect_silence().await;
    }
);

on_both_databases!(
    a_reload_forgives_no_guesses_and_its_new_limits_hold_at_once,
    async |backend| {
        let config = |failures: u32, changes: u32| {
            format!(
                "[auth]\nlockout_failures = {failures}\nprofile_changes_per_hour = {changes}\nlockout_secs = 3600\n"
            )
        };
        let server = Server::builder(backend).config(&config(3, 1)).start().await;
        let ada = Person::register(&server, "ada").await;
        let eve = Person::register(&server, "eve").await;
        let api = server.api();
        let guess = async |name: &str, password: &str| log_in(&api, name, password).await.status;
        let change_password = async |from: &str| {
            let change = json!({ "current_password": from, "new_password": NEW });
            ada.api.post("/auth/password", change).await.status
        };
        let say = async |about: &str| {
            let change = json!({ "about_markdown": about });
            ada.api.patch("/users/me/profile", change).await.status
        };
        for _ in 0..3 {
            assert_eq!(guess("ada", "not the password").await, 401);
            assert_eq!(change_password("not the password").await, 401);
        }
        assert_eq!(guess("eve", "not the password").await, 401);
        assert_eq!((say("hello").await, say("hello again").await), (200, 429));

        server.write_config(&config(2, 1));
        server.cli(&["reload"]).await.expect(0);
        assert_eq!(guess("ada", PASSWORD).await, 401, "still locked");
        assert_eq!(change_password(PASSWORD).await, 429);
        assert_eq!(say("hello again").await, 429);
        assert_eq!(guess("eve", "not the password").await, 401);
        assert_eq!(guess("eve", PASSWORD).await, 401, "two are too many now");
        eve.api.get("/auth/me").await.expect(200);

        server.write_config(&config(2, 2));
        server.cli(&["reload"]).await.expect(0);
        assert_eq!(say("hello again").await, 200);
    }
);

on_both_databases!(whatever_is_no_access_token_is_401, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let token = &ada.session.access_token;
    let mut bad: Vec<String> = vec![
        token.replacen("v4.local.", "v4.public.", 1),
        token.replacen("v4.local.", "v3.local.", 1),
        token.replacen("v4.local.", "v4.local..", 1),
        format!("{token}.{token}"),
        "x".repeat(8_000),
        "v4.local.".into(),
    ];
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        // Stays a character that a header may hold.
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        bad.push(String::from_utf8(bytes).expect("ASCII"));
        bad.push(token[..at].to_owned());
    }
    for bad in bad.iter().filter(|bad| *bad != token) {
        server
            .api()
            .with_token(bad)
            .get("/auth/me")
            .await
            .expect_error(401, "invalid_credentials");
    }
    ada.api.get("/auth/me").await.expect(200);
});

/// Says yes to the token `solved`, in the words of hCaptcha.
async fn stand_in_for_hcaptcha() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    let answers = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = String::new();
            while !question.contains("sitekey=") {
                let mut some = [0; 4096];
                match stream.read(&mut some).await {
                    Ok(read) if read > 0 => {
                        question.push_str(&String::from_utf8_lossy(&some[..read]));
                    }
                    _ => break,
                }
            }
            let answer = json!({ "success": question.contains("response=solved&") }).to_string();
            let length = answer.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{answer}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (addr, answers)
}

on_both_databases!(
    where_a_captcha_is_configured_it_must_be_solved,
    async |backend| {
        let (addr, answers) = stand_in_for_hcaptcha().await;
        let mut server = Server::builder(backend)
            .env("FILAMENT_HCAPTCHA_SITE_KEY", "site-key")
            .env("FILAMENT_HCAPTCHA_SECRET", "0x0123456789")
            .env("FILAMENT_HCAPTCHA_VERIFY_URL", format!("http://{addr}/"))
            .env("FILAMENT_LOG__FORMAT", "json")
            .start()
            .await;
        let shown = server.api().get("/auth/captcha").await.expect(200);
        assert_eq!(
            shown.body,
            json!({ "provider": "hcaptcha", "site_key": "site-key" })
        );
        let api = server.api();
        let with = |token: Value| json!({ "username": "ada", "password": PASSWORD, "captcha_token": token });
        for path in ["/auth/register", "/auth/login"] {
            api.post(path, with(Value::Null))
                .await
                .expect_error(400, "invalid_request");
            let guessed = api.post(path, with(json!("guessed"))).await;
            let refused = guessed.expect_error(403, "captcha_failed");
            let line = security_line(&server, &refused).to_string();
            assert!(line.contains("127.0.0.1"), "{line}");
            api.post(path, with(json!("solved"))).await.expect(200);
        }

        // Asked by TLS, it does not understand a word.
        server.terminate().await;
        server.set_env("FILAMENT_HCAPTCHA_VERIFY_URL", format!("https://{addr}/"));
        server.start_again().await;
        let api = server.api();
        api.post("/auth/login", with(json!("solved")))
            .await
            .expect_error(503, "service_unavailable");
        let log = server.log();
        assert_eq!(log.matches("hCaptcha").count(), 1, "told once: {log}");
        answers.abort();
    }
);

on_both_databases!(
    without_a_captcha_none_is_shown_and_a_half_configured_one_is_refused,
    async |backend| {
        let server = Server::start(backend).await;
        let shown = server.api().get("/auth/captcha").await.expect(200);
        assert_eq!(shown.body, json!({ "provider": null, "site_key": null }));
        server.write_config("[auth]\nhcaptcha_site_key = \"site\"\n");
        let checked = server.cli(&["config", "check"]).await.expect(78);
        assert!(
            format!("{}{}", checked.stdout, checked.stderr).contains("auth.hcaptcha_secret"),
            "{checked:?}"
        );
    }
);

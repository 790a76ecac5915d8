//! The life of a session, seen from outside.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use filament_test_support::{
    Answer, Backend, GatewayClient, Person, Server, TestDatabase, on_both_databases,
    people::PASSWORD,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait};
use serde_json::{Value, json};

/// What a log-out may take until everything of the session is dead.
const SOON: Duration = Duration::from_secs(1);

/// The line of the security log about a request, of a server whose log is JSON.
pub(crate) fn security_line(server: &Server, answer: &Answer) -> Value {
    server
        .log()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| {
            line["target"] == "filament::security"
                && line.to_string().contains(answer.header("x-request-id"))
        })
        .unwrap_or_else(|| panic!("no line about {answer:?}"))
}

async fn connect(database: &TestDatabase) -> DatabaseConnection {
    sea_orm::Database::connect(&database.url)
        .await
        .expect("a connection")
}

on_both_databases!(
    registering_and_logging_in_give_nothing_away,
    async |backend| {
        let server = Server::start(backend).await;
        let api = server.api();
        Person::register(&server, "ada").await;
        let fresh = api
            .post(
                "/auth/register",
                json!({ "username": "bob", "password": PASSWORD }),
            )
            .await
            .expect(200);
        let taken = api
            .post(
                "/auth/register",
                json!({ "username": "ada", "password": "another password" }),
            )
            .await
            .expect(200);
        assert_eq!(fresh.body, json!({ "accepted": true }));
        assert_eq!(taken.body, fresh.body);

        let wrong = json!({ "username": "ada", "password": "another password" });
        let unknown = json!({ "username": "nobody", "password": "another password" });
        let wrong_answer = api
            .post("/auth/login", &wrong)
            .await
            .expect_error(401, "invalid_credentials");
        let unknown_answer = api
            .post("/auth/login", &unknown)
            .await
            .expect_error(401, "invalid_credentials");
        assert_eq!(wrong_answer.message(), unknown_answer.message());
        for _ in 1..5 {
            api.post("/auth/login", &wrong)
                .await
                .expect_error(401, "invalid_credentials");
        }
        // Five failures lock the account: now the right password is as wrong as any.
        let right = json!({ "username": "ada", "password": PASSWORD });
        let locked = api
            .post("/auth/login", &right)
            .await
            .expect_error(401, "invalid_credentials");
        assert_eq!(locked.message(), wrong_answer.message());

        for (username, password) in [
            ("ab", PASSWORD),
            ("a name", PASSWORD),
            ("x".repeat(33).as_str(), PASSWORD),
            ("carol", "too short"),
            ("carol", "x".repeat(129).as_str()),
        ] {
            let account = json!({ "username": username, "password": password });
            api.post("/auth/register", account)
                .await
                .expect_error(400, "invalid_request");
        }
    }
);

on_both_databases!(
    a_refresh_token_is_good_once_and_a_replay_ends_the_session,
    async |backend| {
        let server = Server::start(backend).await;
        let mut ada = Person::register(&server, "ada").await;
        assert_eq!(ada.session.expires_in_secs, 900);
        let other = Person::log_in(&server, "ada").await;
        let first = ada.session.clone();
        let mut ears = ada.listen().await;
        let mut other_ears = other.listen().await;

        ada.refresh().await;
        assert_ne!(ada.session.refresh_token, first.refresh_token);
        assert_ne!(ada.session.access_token, first.access_token);
        ada.api.get("/auth/me").await.expect(200);
        ears.expect_silence().await;

        // Somebody has kept the first token: nobody can tell who of the two is the thief.
        let api = server.api();
        let replay = json!({ "refresh_token": first.refresh_token });
        api.post("/auth/refresh", &replay)
            .await
            .expect_error(401, "invalid_credentials");
        let newest = json!({ "refresh_token": ada.session.refresh_token });
        api.post("/auth/refresh", &newest)
            .await
            .expect_error(401, "invalid_credentials");
        ada.api
            .get("/auth/me")
            .await
            .expect_error(401, "invalid_credentials");
        assert_eq!(ears.closed().await.code, 1008);

        // The other session of the same person is another session.
        other.api.get("/auth/me").await.expect(200);
        other_ears.expect_silence().await;
        let nonsense = json!({ "refresh_token": "nonsense" });
        api.post("/auth/refresh", &nonsense)
            .await
            .expect_error(401, "invalid_credentials");
    }
);

on_both_databases!(a_log_out_ends_tokens_and_sockets_at_once, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let other = Person::log_in(&server, "ada").await;
    let mut ears = [ada.listen().await, ada.listen().await];
    let mut other_ears = other.listen().await;

    let asked = Instant::now();
    ada.log_out().await;
    for ears in &mut ears {
        let closed = ears.closed().await;
        assert_eq!(closed.code, 1008);
        assert!(!closed.reason.is_empty());
    }
    ada.api
        .get("/auth/me")
        .await
        .expect_error(401, "invalid_credentials");
    assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    let bearer = format!("Bearer {}", ada.session.access_token);
    GatewayClient::refused(&server.api(), "", &[("authorization", &bearer)])
        .await
        .expect_error(401, "invalid_credentials");
    let ended = json!({ "refresh_token": ada.session.refresh_token });
    server
        .api()
        .post("/auth/refresh", &ended)
        .await
        .expect_error(401, "invalid_credentials");

    other_ears.expect_silence().await;
    other.api.get("/auth/me").await.expect(200);
});

on_both_databases!(
    a_refresh_that_the_database_holds_up_can_be_tried_again,
    async |backend: Backend| {
        for (request_timeout_secs, status, code) in [
            (1, 408, "request_timeout"),
            (10, 503, "service_unavailable"),
        ] {
            let database = backend.database().await.expect("a database");
            let server = Server::builder(backend)
                .database(database.clone())
                .env("FILAMENT_HTTP__REQUEST_TIMEOUT_SECS", request_timeout_secs)
                .start()
                .await;
            let mut ada = Person::register(&server, "ada").await;

            // Somebody else writes to all sessions, and takes their time.
            let other = connect(&database).await.begin().await.expect("begins");
            other
                .execute_unprepared("UPDATE sessions SET refreshed_at_ms = refreshed_at_ms")
                .await
                .expect("held");
            let token = json!({ "refresh_token": ada.session.refresh_token });
            server
                .api()
                .post("/auth/refresh", token)
                .await
                .expect_error(status, code);
            other.rollback().await.expect("let go");

            ada.refresh().await;
            ada.api.get("/auth/me").await.expect(200);
        }
    }
);

on_both_databases!(
    a_session_whose_time_is_up_takes_its_sockets_and_access_tokens_along,
    async |backend: Backend| {
        let database = backend.database().await.expect("a database");
        let server = Server::builder(backend)
            .database(database.clone())
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        let other = Person::log_in(&server, "ada").await;
        let mut ears = ada.listen().await;
        let mut other_ears = other.listen().await;
        let (session_id, _) = ada.session.refresh_token.split_once('.').expect("an id");
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970")
            .as_millis();
        let expire = format!(
            "UPDATE sessions SET expires_at_ms = {now_ms} WHERE session_id = '{session_id}'"
        );
        let db = connect(&database).await;
        db.execute_unprepared(&expire).await.expect("expired");

        assert_eq!(ears.closed().await.code, 1008);
        ada.api
            .get("/auth/me")
            .await
            .expect_error(401, "invalid_credentials");
        other_ears.expect_silence().await;
        other.api.get("/auth/me").await.expect(200);
    }
);

on_both_databases!(
    what_is_refused_without_looking_at_the_password_is_in_the_security_log_too,
    async |backend| {
        let server = Server::builder(backend)
            .env("FILAMENT_LOG__FORMAT", "json")
            .env("FILAMENT_AUTH__LOCKOUT_FAILURES", 1)
            .env("FILAMENT_AUTH__LOCKOUT_ADDRESS_FAILURES", 1)
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        let wrong = json!({ "current_password": "another password", "new_password": PASSWORD });
        let password = "/auth/password";
        let locks = ada.api.post(password, &wrong).await.expect(401);
        let locked = ada.api.post(password, &wrong).await.expect(429);
        let line = security_line(&server, &locks).to_string();
        assert!(line.contains("\"locks_account\":true"), "{line}");

        let log_in = json!({ "username": "nobody", "password": PASSWORD });
        let api = server.api();
        api.post("/auth/login", &log_in).await.expect(401);
        let address = api.post("/auth/login", &log_in).await.expect(429);
        for (answer, whose) in [(&locked, Some(&ada.user_id)), (&address, None)] {
            let line = security_line(&server, answer).to_string();
            assert!(line.contains("127.0.0.1"), "{line}");
            assert!(whose.is_none_or(|user_id| line.contains(user_id)), "{line}");
        }
    }
);

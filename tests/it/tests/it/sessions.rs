//! The life of a session, seen from outside.

use std::time::{Duration, Instant};

use filament_test_support::{GatewayClient, Person, Server, on_both_databases, people::PASSWORD};
use serde_json::json;

/// What a log-out may take until everything of the session is dead.
const SOON: Duration = Duration::from_secs(1);

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

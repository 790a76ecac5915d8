use std::net::IpAddr;

use filament_test_support::on_both_databases;
use serde_json::json;

use crate::harness::{PASSWORD, Site, unauthenticated};

on_both_databases!(
    wrong_unknown_impossible_and_locked_are_one_answer,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        server.register("ada", PASSWORD).await.expect("accepted");
        assert_eq!(
            server.log_in("nobody", PASSWORD).await,
            Err(unauthenticated())
        );
        assert_eq!(
            server.log_in("no such name!", PASSWORD).await,
            Err(unauthenticated())
        );
        for _ in 0..5 {
            assert_eq!(server.log_in("ada", "wrong").await, Err(unauthenticated()));
        }
        assert_eq!(
            server.log_in("ADA", PASSWORD).await,
            Err(unauthenticated()),
            "locked, in any case"
        );
        site.later(29);
        assert_eq!(server.log_in("ada", PASSWORD).await, Err(unauthenticated()));
        site.later(1);
        assert!(server.log_in("ada", PASSWORD).await.is_ok());
    }
);

on_both_databases!(four_failures_and_a_success_begin_anew, async |backend| {
    let server = Site::new(backend).await.server().await;
    server.register("ada", PASSWORD).await.expect("accepted");
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(server.log_in("ada", "wrong").await, Err(unauthenticated()));
        }
        assert!(server.log_in("ada", PASSWORD).await.is_ok());
    }
});

on_both_databases!(
    an_address_that_fails_too_often_waits_and_nobody_else,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        let session = server.person("ada").await;
        let away: IpAddr = "2001:db8:0:1::5".parse().expect("an address");
        let neighbour: IpAddr = "2001:db8:0:1::6".parse().expect("an address");
        for guess in 0..30 {
            let name = format!("name{guess}");
            let answer = server.log_in_from(away, None, &name, "wrong").await;
            assert_eq!(answer, Err(unauthenticated()));
        }
        // Whoever has a /64 has all of its addresses.
        for address in [away, neighbour] {
            for password in [PASSWORD, "wrong"] {
                let (status, code, _) = server
                    .log_in_from(address, None, "ada", password)
                    .await
                    .expect_err("too many");
                assert_eq!((status, code), (429, "rate_limited"));
            }
        }
        assert!(server.log_in("ada", PASSWORD).await.is_ok());
        assert!(server.me(&session.access_token).await.is_ok());
        assert!(server.refresh(&session.refresh_token).await.is_ok());
        site.later(30);
        let again = server.log_in_from(away, None, "ada", PASSWORD).await;
        assert!(again.is_ok());
    }
);

on_both_databases!(
    guesses_side_by_side_do_not_outrun_the_limit_of_an_address,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let names: Vec<String> = (0..60).map(|guess| format!("name{guess}")).collect();
        let all =
            futures_util::future::join_all(names.iter().map(|name| server.log_in(name, "wrong")))
                .await;
        let judged = all
            .iter()
            .filter(|answer| **answer == Err(unauthenticated()))
            .count();
        assert_eq!(judged, 30, "{all:?}");
    }
);

on_both_databases!(
    many_right_passwords_at_once_are_all_right,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        server.register("ada", PASSWORD).await.expect("accepted");
        let all =
            futures_util::future::join_all((0..24).map(|_| server.log_in("ada", PASSWORD))).await;
        assert!(all.iter().all(Result::is_ok));
    }
);

on_both_databases!(
    guesses_side_by_side_are_no_more_than_guesses_in_a_row,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server_with(|config| config.hash_concurrency = 1).await;
        server.register("ada", PASSWORD).await.expect("accepted");
        // The right one is among them, but after the fifth.
        let guesses: Vec<&str> = (0..30)
            .map(|n| if n == 20 { PASSWORD } else { "wrong" })
            .collect();
        let all =
            futures_util::future::join_all(guesses.iter().map(|guess| server.log_in("ada", guess)))
                .await;
        assert!(all.iter().all(|answer| *answer == Err(unauthenticated())));
    }
);

on_both_databases!(a_full_queue_asks_to_come_back, async |backend| {
    let site = Site::new(backend).await;
    let server = site
        .server_with(|config| {
            config.hash_concurrency = 1;
            config.hash_queue = 0;
            config.argon2_memory_kib = 65_536;
        })
        .await;
    let all = futures_util::future::join_all((0..8).map(|_| server.log_in("ada", "wrong"))).await;
    let full = all
        .iter()
        .filter(|answer| matches!(answer, Err((503, "service_unavailable", _))))
        .count();
    assert!(full > 0, "{all:?}");
    assert!(all.contains(&Err(unauthenticated())), "{all:?}");
});

on_both_databases!(
    a_changed_cost_renews_the_hash_and_keeps_the_password,
    async |backend| {
        let site = Site::new(backend).await;
        site.server()
            .await
            .register("ada", PASSWORD)
            .await
            .expect("accepted");
        let stronger = site
            .server_with(|config| config.argon2_iterations = 3)
            .await;
        for _ in 0..2 {
            assert_eq!(
                stronger.log_in("ada", "wrong").await,
                Err(unauthenticated())
            );
            assert!(stronger.log_in("ada", PASSWORD).await.is_ok());
        }
        assert!(
            site.server().await.log_in("ada", PASSWORD).await.is_ok(),
            "whatever the cost is now"
        );
    }
);

on_both_databases!(
    what_is_too_long_is_refused_before_it_costs_anything,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        for (body, field) in [
            (
                json!({ "username": "ada", "password": "x".repeat(129) }),
                "password",
            ),
            (json!({ "username": "ada", "password": "" }), "password"),
            (
                json!({ "username": "x".repeat(33), "password": "x" }),
                "username",
            ),
            (
                json!({ "username": "ada", "password": PASSWORD, "remember": true }),
                "remember",
            ),
        ] {
            let (status, code, message) =
                server.post("/auth/login", body).await.expect_err("refused");
            assert_eq!((status, code), (400, "invalid_request"));
            assert!(message.starts_with(field), "{message}");
        }
    }
);

on_both_databases!(
    a_log_in_that_cannot_be_audited_opens_no_session,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        server.register("ada", PASSWORD).await.expect("accepted");
        server.audit.breaks(true);
        assert_eq!(
            server
                .log_in("ada", PASSWORD)
                .await
                .map_err(|error| error.0),
            Err(500)
        );
    }
);

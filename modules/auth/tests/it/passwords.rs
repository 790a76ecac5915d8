use std::{pin::pin, time::Duration};

use filament_test_support::on_both_databases;
use futures_util::future::join_all;
use sea_orm::ConnectionTrait;

use crate::harness::{PASSWORD, Site, unauthenticated};

const NEW: &str = "another good password";

on_both_databases!(
    a_new_password_ends_all_other_sessions_and_the_old_password,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let ada = server.person("ada").await;
        let other = server.log_in("ada", PASSWORD).await.expect("logged in");
        let eve = server.person("eve").await;
        assert_eq!(server.change_password(&ada, PASSWORD, NEW).await, Ok(()));
        assert!(server.me(&ada.access_token).await.is_ok());
        assert!(server.refresh(&ada.refresh_token).await.is_ok());
        assert_eq!(server.me(&other.access_token).await, Err(unauthenticated()));
        assert_eq!(
            server.refresh(&other.refresh_token).await,
            Err(unauthenticated())
        );
        assert_eq!(server.gateway.ended(), [other.id()]);
        assert_eq!(server.log_in("ada", PASSWORD).await, Err(unauthenticated()));
        assert!(server.log_in("ada", NEW).await.is_ok());
        assert!(server.me(&eve.access_token).await.is_ok());
        assert!(server.log_in("eve", PASSWORD).await.is_ok());
        let changed = server
            .audit
            .entries()
            .into_iter()
            .find(|entry| entry.action == "account.password_change")
            .expect("recorded");
        assert_eq!(changed.request_id.as_deref(), Some("test"));
    }
);

on_both_databases!(
    a_thief_of_a_token_cannot_guess_the_password_nor_lock_the_owner_out,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        let ada = server.person("ada").await;
        for _ in 0..5 {
            assert_eq!(
                server.change_password(&ada, "wrong", NEW).await,
                Err(unauthenticated())
            );
        }
        for guess in ["wrong", PASSWORD] {
            let (status, code, _) = server
                .change_password(&ada, guess, NEW)
                .await
                .expect_err("locked");
            assert_eq!((status, code), (429, "rate_limited"));
        }
        assert!(
            server.log_in("ada", PASSWORD).await.is_ok(),
            "the owner logs in as before"
        );
        site.later(30);
        assert_eq!(server.change_password(&ada, PASSWORD, NEW).await, Ok(()));
    }
);

on_both_databases!(
    guesses_side_by_side_with_a_stolen_token_are_no_more_than_in_a_row,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server_with(|config| config.hash_concurrency = 1).await;
        let ada = server.person("ada").await;
        let guesses: Vec<&str> = (0..30)
            .map(|n| if n == 20 { PASSWORD } else { "wrong" })
            .collect();
        let all = join_all(
            guesses
                .iter()
                .map(|guess| server.change_password(&ada, guess, NEW)),
        )
        .await;
        assert!(all.iter().all(Result::is_err), "{all:?}");
        let judged = all
            .iter()
            .filter(|answer| **answer == Err(unauthenticated()));
        assert_eq!(judged.count(), 5);
    }
);

on_both_databases!(a_new_password_follows_the_rules, async |backend| {
    let server = Site::new(backend).await.server().await;
    let ada = server.person("ada").await;
    for (from, to, field) in [
        (PASSWORD, "too short", "new_password"),
        (PASSWORD, &*"x".repeat(129), "new_password"),
        (&*"x".repeat(129), NEW, "current_password"),
        ("", NEW, "current_password"),
    ] {
        let (status, _, message) = server
            .change_password(&ada, from, to)
            .await
            .expect_err("refused");
        assert_eq!(status, 400);
        assert!(message.starts_with(field), "{message}");
    }
    assert!(server.log_in("ada", PASSWORD).await.is_ok());
});

on_both_databases!(
    of_two_changes_at_once_one_holds_and_no_session_of_the_other,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        for round in 0..10 {
            let name = format!("ada{round}");
            let one = server.person(&name).await;
            let other = server.log_in(&name, PASSWORD).await.expect("logged in");
            let (here, there) = tokio::join!(
                server.change_password(&one, PASSWORD, "the password of one"),
                server.change_password(&other, PASSWORD, "the password of other"),
            );
            assert!(here.is_ok() != there.is_ok(), "{here:?} {there:?}");
            let (winner, loser) = if here.is_ok() {
                (&one, &other)
            } else {
                (&other, &one)
            };
            assert!(server.me(&winner.access_token).await.is_ok());
            assert_eq!(server.me(&loser.access_token).await, Err(unauthenticated()));
        }
    }
);

on_both_databases!(
    a_log_in_that_verified_what_is_changed_meanwhile_opens_nothing,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        server.register("ada", PASSWORD).await.expect("accepted");
        server.register("eve", NEW).await.expect("accepted");
        for change in [
            "password_hash = (SELECT password_hash FROM users WHERE username_key = 'eve')",
            "disabled_at_ms = 1",
        ] {
            let change = format!("UPDATE users SET {change} WHERE username_key = 'ada'");
            let tx = site.db.begin().await.expect("a transaction");
            tx.execute_unprepared(&change).await.expect("changed");
            let mut log_in = pin!(server.log_in("ada", PASSWORD));
            // It reads what was before, and then waits for what is being changed.
            let waits = tokio::time::timeout(Duration::from_millis(200), &mut log_in).await;
            assert!(waits.is_err(), "{waits:?}");
            tx.commit().await.expect("committed");
            assert_eq!(log_in.await, Err(unauthenticated()), "{change}");
            let restore = "UPDATE users SET password_hash = \
                (SELECT password_hash FROM users WHERE username_key = 'bob') \
                WHERE username_key = 'ada'";
            server.register("bob", PASSWORD).await.expect("accepted");
            let tx = site.db.begin().await.expect("a transaction");
            tx.execute_unprepared(restore).await.expect("restored");
            tx.commit().await.expect("committed");
        }
        assert!(!server.audit.actions().contains(&"session.open"));
    }
);

on_both_databases!(
    many_log_ins_while_the_hash_is_made_anew_all_get_in,
    async |backend| {
        let site = Site::new(backend).await;
        site.server()
            .await
            .register("ada", PASSWORD)
            .await
            .expect("accepted");
        let stronger = site
            .server_with(|config| config.argon2_iterations = 2)
            .await;
        let all = join_all((0..16).map(|_| stronger.log_in("ada", PASSWORD))).await;
        assert!(all.iter().all(Result::is_ok), "{all:?}");
    }
);

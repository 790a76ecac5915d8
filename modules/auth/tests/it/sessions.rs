use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use filament_kernel::id::{Ids, SessionId};
use filament_test_support::on_both_databases;
use sea_orm::{ConnectionTrait, Statement};

use crate::{
    harness::{PASSWORD, Site, unauthenticated},
    several_servers::until_refused,
};

const DAY: u64 = 86_400;

/// Polls `work` so often at most, waits until it would go on, and drops it there, as the host does with the request of a client that hangs
/// up. Answers what came of it, if it was done by then.
pub(crate) async fn give_up_after<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

on_both_databases!(each_refresh_token_is_good_for_one_use, async |backend| {
    let server = Site::new(backend).await.server().await;
    let first = server.person("ada").await;
    let second = server
        .refresh(&first.refresh_token)
        .await
        .expect("refreshed");
    let third = server
        .refresh(&second.refresh_token)
        .await
        .expect("refreshed");
    assert_eq!(
        (first.id(), second.id()),
        (second.id(), third.id()),
        "one session"
    );
    assert_ne!(first.refresh_token, second.refresh_token);
    for session in [&first, &second, &third] {
        assert!(
            server.me(&session.access_token).await.is_ok(),
            "until it expires"
        );
    }

    assert_eq!(
        server.refresh(&first.refresh_token).await,
        Err(unauthenticated())
    );
    for session in [&first, &second, &third] {
        assert_eq!(
            server.me(&session.access_token).await,
            Err(unauthenticated())
        );
        assert_eq!(
            server.refresh(&session.refresh_token).await,
            Err(unauthenticated())
        );
    }
    assert_eq!(server.gateway.ended(), [first.id()], "once");
    assert_eq!(
        server.audit.actions(),
        ["account.register", "session.open", "session.replay"]
    );
});

on_both_databases!(
    logging_out_ends_this_session_and_no_other,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let phone = server.person("ada").await;
        let laptop = server.log_in("ada", PASSWORD).await.expect("logged in");
        assert_eq!(server.log_out(&phone.refresh_token).await, Ok(()));
        assert_eq!(server.me(&phone.access_token).await, Err(unauthenticated()));
        assert_eq!(
            server.refresh(&phone.refresh_token).await,
            Err(unauthenticated())
        );
        assert_eq!(
            server.log_out(&phone.refresh_token).await,
            Err(unauthenticated())
        );
        assert_eq!(server.gateway.ended(), [phone.id()]);
        assert!(server.me(&laptop.access_token).await.is_ok());
        assert!(server.refresh(&laptop.refresh_token).await.is_ok());
        assert_eq!(
            server.audit.actions(),
            [
                "account.register",
                "session.open",
                "session.open",
                "session.end"
            ]
        );
    }
);

on_both_databases!(a_spent_token_at_log_out_is_a_replay_too, async |backend| {
    let server = Site::new(backend).await.server().await;
    let first = server.person("ada").await;
    let second = server
        .refresh(&first.refresh_token)
        .await
        .expect("refreshed");
    assert_eq!(
        server.log_out(&first.refresh_token).await,
        Err(unauthenticated())
    );
    assert_eq!(
        server.refresh(&second.refresh_token).await,
        Err(unauthenticated())
    );
    assert_eq!(
        server.me(&second.access_token).await,
        Err(unauthenticated())
    );
    assert_eq!(server.gateway.ended(), [first.id()]);
});

on_both_databases!(knowing_a_session_is_not_enough_to_end_it, async |backend| {
    let server = Site::new(backend).await.server().await;
    let ada = server.person("ada").await;
    let eve = server.person("eve").await;
    let (_, secret) = eve.refresh_token.split_once('.').expect("two parts");
    let unknown: SessionId = Ids::default().next();
    for forged in [
        format!("{}.{secret}", ada.id()),
        format!("{}.{}", ada.id(), "A".repeat(64)),
        format!("{}.", ada.id()),
        format!("{unknown}.{secret}"),
        ada.id().to_string(),
        String::new(),
        "garbage".to_string(),
        ada.access_token.clone(),
    ] {
        assert_eq!(
            server.refresh(&forged).await,
            Err(unauthenticated()),
            "{forged}"
        );
        assert_eq!(
            server.log_out(&forged).await,
            Err(unauthenticated()),
            "{forged}"
        );
    }
    assert_eq!(
        server
            .refresh(&"x".repeat(513))
            .await
            .map_err(|error| error.0),
        Err(400)
    );
    assert!(server.me(&ada.access_token).await.is_ok());
    assert!(server.refresh(&ada.refresh_token).await.is_ok());
    assert!(server.gateway.ended().is_empty());
});

on_both_databases!(
    access_tokens_expire_and_sessions_end_without_a_refresh,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        let first = server.person("ada").await;
        site.later(901);
        assert_eq!(server.me(&first.access_token).await, Err(unauthenticated()));
        site.later(29 * DAY);
        let second = server
            .refresh(&first.refresh_token)
            .await
            .expect("not yet expired");
        assert!(server.me(&second.access_token).await.is_ok());
        site.later(29 * DAY);
        let third = server
            .refresh(&second.refresh_token)
            .await
            .expect("each refresh starts the time anew");
        site.later(30 * DAY + 1);
        assert_eq!(
            server.refresh(&third.refresh_token).await,
            Err(unauthenticated())
        );
        assert_eq!(
            server.log_out(&third.refresh_token).await,
            Err(unauthenticated())
        );
    }
);

on_both_databases!(
    a_refresh_that_is_given_up_at_any_moment_leaves_the_token_as_it_was,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let mut session = server.person("ada").await;
        let mut given_up = 0;
        for polls in [0, 1, 2, 3, 1, 2, 1] {
            let refresh = server.refresh(&session.refresh_token);
            match give_up_after(polls, refresh).await {
                Some(answer) => session = answer.expect("refreshed"),
                None => given_up += 1,
            }
            session = server
                .refresh(&session.refresh_token)
                .await
                .expect("it is good as if nobody had tried");
        }
        assert!(given_up >= 4, "{given_up}");
        assert!(server.gateway.ended().is_empty());
    }
);

on_both_databases!(
    a_replay_ends_the_session_also_when_it_is_given_up,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let first = server.person("ada").await;
        let second = server
            .refresh(&first.refresh_token)
            .await
            .expect("refreshed");
        // One that is given up before its turn has come is none.
        for _ in 0..100 {
            let replay = give_up_after(1, server.refresh(&first.refresh_token)).await;
            assert_eq!(replay, None);
            if !server.gateway.ended().is_empty() {
                break;
            }
        }
        assert_eq!(
            server.refresh(&second.refresh_token).await,
            Err(unauthenticated())
        );
        assert_eq!(
            server.me(&second.access_token).await,
            Err(unauthenticated())
        );
        assert_eq!(server.gateway.ended(), [first.id()], "once");
    }
);

on_both_databases!(
    a_session_ends_after_its_longest_time_however_often_it_is_refreshed,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        let mut session = server.person("ada").await;
        for _ in 0..4 {
            site.later(20 * DAY);
            session = server
                .refresh(&session.refresh_token)
                .await
                .expect("refreshed");
        }
        site.later(10 * DAY - 1);
        session = server
            .refresh(&session.refresh_token)
            .await
            .expect("90 days are not over");
        site.later(1);
        assert_eq!(
            server.refresh(&session.refresh_token).await,
            Err(unauthenticated())
        );
        assert!(server.log_in("ada", PASSWORD).await.is_ok());
    }
);

on_both_databases!(
    a_session_that_is_older_than_sessions_may_be_now_is_not_refreshed,
    async |backend| {
        let site = Site::new(backend).await;
        let session = site.server().await.person("ada").await;
        site.later(8 * DAY);
        let strict = site
            .server_with(|config| config.session_max_secs = 7 * 86_400)
            .await;
        assert_eq!(
            strict.refresh(&session.refresh_token).await,
            Err(unauthenticated())
        );
        assert!(
            !strict.audit.actions().contains(&"session.replay"),
            "it was no thief"
        );
    }
);

on_both_databases!(
    a_session_whose_time_is_up_takes_its_access_tokens_and_sockets_along,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site
            .server_with(|config| config.session_max_secs = 3_600)
            .await
            .start();
        let old = server.person("ada").await;
        site.later(3_000);
        let old = server.refresh(&old.refresh_token).await.expect("refreshed");
        let young = server.log_in("ada", PASSWORD).await.expect("logged in");
        site.later(601);
        until_refused(&server, &old).await;
        assert_eq!(server.gateway.ended(), [old.id()]);
        assert!(server.me(&young.access_token).await.is_ok());
        assert!(server.refresh(&young.refresh_token).await.is_ok());
    }
);

on_both_databases!(
    a_replay_that_cannot_be_audited_is_not_half_done,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let first = server.person("ada").await;
        let second = server
            .refresh(&first.refresh_token)
            .await
            .expect("refreshed");
        server.audit.breaks(true);
        assert_eq!(
            server
                .refresh(&first.refresh_token)
                .await
                .map_err(|error| error.0),
            Err(500)
        );
        assert_eq!(
            server
                .log_out(&second.refresh_token)
                .await
                .map_err(|error| error.0),
            Err(500)
        );
        assert!(server.me(&second.access_token).await.is_ok(), "rolled back");
        assert!(server.gateway.ended().is_empty());
        server.audit.breaks(false);
        assert_eq!(
            server.refresh(&first.refresh_token).await,
            Err(unauthenticated())
        );
        assert_eq!(
            server.me(&second.access_token).await,
            Err(unauthenticated())
        );
    }
);

on_both_databases!(what_is_stored_is_of_no_use_to_a_thief, async |backend| {
    let site = Site::new(backend).await;
    let server = site.server().await;
    let session = server.person("ada").await;
    let (_, secret) = session.refresh_token.split_once('.').expect("two parts");
    let statement = Statement::from_string(
        site.db.backend(),
        "SELECT lineage_hash, refresh_hash FROM sessions",
    );
    let row = site
        .db
        .read()
        .query_one_raw(statement)
        .await
        .expect("a query")
        .expect("a row");
    for column in ["lineage_hash", "refresh_hash"] {
        let stored: String = row.try_get("", column).expect("a text");
        assert!(
            !secret.contains(&stored) && !stored.contains(&secret[..20]),
            "{column}"
        );
        let forged = format!("{}.{stored}", session.id());
        assert_eq!(server.refresh(&forged).await, Err(unauthenticated()));
    }
    assert!(server.refresh(&session.refresh_token).await.is_ok());
});

on_both_databases!(long_expired_sessions_are_deleted, async |backend| {
    let site = Site::new(backend).await;
    let server = site.server().await;
    let old = server.person("ada").await;
    site.later(31 * DAY + 1);
    let new = server.log_in("ada", PASSWORD).await.expect("logged in");
    let _live = server.start();
    let mut left = Vec::new();
    for _ in 0..100 {
        let statement =
            Statement::from_string(site.db.backend(), "SELECT session_id FROM sessions");
        let rows = site
            .db
            .read()
            .query_all_raw(statement)
            .await
            .expect("a query");
        left = rows
            .iter()
            .map(|row| row.try_get::<String>("", "session_id").expect("an id"))
            .collect();
        if left.len() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(left, [new.id().to_string()], "and not {}", old.id());
});

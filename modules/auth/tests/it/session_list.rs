use std::net::IpAddr;

use filament_kernel::id::Ids;
use filament_test_support::on_both_databases;
use poem::http::Method;
use serde_json::{Value, json};

use crate::harness::{HOME, PASSWORD, Session, Site, unauthenticated};

/// The one 404.
fn not_found() -> (u16, &'static str, String) {
    let error = filament_kernel::ApiError::not_found();
    (404, "not_found", error.message().to_string())
}

fn ids(sessions: &[Value]) -> Vec<String> {
    let id = |session: &Value| session["session_id"].as_str().expect("an id").to_string();
    sessions.iter().map(id).collect()
}

on_both_databases!(one_sees_where_one_is_logged_in, async |backend| {
    let site = Site::new(backend).await;
    let server = site.server().await;
    server.register("ada", PASSWORD).await.expect("accepted");
    server.person("eve").await;
    let from = |text: &str| text.parse::<IpAddr>().expect("an address");
    let phone = server
        .log_in_from(from("203.0.113.77"), Some("Phone/1"), "ada", PASSWORD)
        .await
        .expect("logged in");
    site.later(5);
    let laptop = server
        .log_in_from(from("2001:db8:1:2::3"), None, "ada", PASSWORD)
        .await
        .expect("logged in");
    site.later(5);
    let phone = server
        .refresh(&phone.refresh_token)
        .await
        .expect("refreshed");

    let seen = server.sessions(&phone).await.expect("a list");
    assert_eq!(
        ids(&seen),
        [laptop.id().to_string(), phone.id().to_string()],
        "the newest first"
    );
    let (newer, older) = (&seen[0], &seen[1]);
    assert_eq!(newer["client"], Value::Null);
    assert_eq!(newer["network"], "2001:db8:1::/48");
    assert_eq!(newer["current"], false);
    assert_eq!(older["client"], "Phone/1");
    assert_eq!(older["network"], "203.0.113.0/24");
    assert_eq!(older["current"], true);
    let at = |session: &Value, field: &str| session[field].as_i64().expect("a time");
    assert!(at(older, "last_used_at_unix") - at(older, "created_at_unix") >= 10);
    assert_eq!(at(newer, "last_used_at_unix"), at(newer, "created_at_unix"));

    // What is over is not there.
    server
        .log_out(&laptop.refresh_token)
        .await
        .expect("logged out");
    assert_eq!(
        ids(&server.sessions(&phone).await.expect("a list")),
        [phone.id().to_string()]
    );
});

on_both_databases!(
    one_ends_a_session_of_ones_own_and_of_nobody_else,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let ada = server.person("ada").await;
        let other = server.log_in("ada", PASSWORD).await.expect("logged in");
        let eve = server.person("eve").await;
        let unknown = Ids::default().next();
        assert_eq!(
            server.end_session(&eve, other.id()).await,
            Err(not_found()),
            "somebody else's"
        );
        assert_eq!(server.end_session(&ada, unknown).await, Err(not_found()));
        assert!(server.me(&other.access_token).await.is_ok());

        assert_eq!(server.end_session(&ada, other.id()).await, Ok(()));
        assert_eq!(server.me(&other.access_token).await, Err(unauthenticated()));
        assert_eq!(
            server.refresh(&other.refresh_token).await,
            Err(unauthenticated())
        );
        assert_eq!(server.gateway.ended(), [other.id()]);
        assert_eq!(server.end_session(&ada, other.id()).await, Err(not_found()));
        assert!(server.me(&ada.access_token).await.is_ok());

        assert_eq!(server.end_session(&ada, ada.id()).await, Ok(()));
        assert_eq!(server.me(&ada.access_token).await, Err(unauthenticated()));
        assert_eq!(
            server.refresh(&ada.refresh_token).await,
            Err(unauthenticated())
        );
        assert!(server.me(&eve.access_token).await.is_ok());
    }
);

on_both_databases!(ending_all_others_keeps_the_one_that_asks, async |backend| {
    let server = Site::new(backend).await.server().await;
    let ada = server.person("ada").await;
    let eve = server.person("eve").await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(server.log_in("ada", PASSWORD).await.expect("logged in"));
    }
    assert_eq!(server.end_others(&ada).await, Ok(()));
    for other in &others {
        assert_eq!(server.me(&other.access_token).await, Err(unauthenticated()));
        assert_eq!(
            server.refresh(&other.refresh_token).await,
            Err(unauthenticated())
        );
    }
    assert_eq!(server.gateway.ended().len(), 3);
    assert!(server.me(&eve.access_token).await.is_ok());
    assert_eq!(server.end_others(&ada).await, Ok(()), "none is left to end");
    let ada = server.refresh(&ada.refresh_token).await.expect("refreshed");
    assert_eq!(server.sessions(&ada).await.expect("a list").len(), 1);
    let entry = server.audit.entries().pop().expect("an entry");
    assert_eq!(entry.action, "session.end_others");
    assert_eq!(entry.details, Some(json!({ "ended_sessions": 3 })));
    assert_eq!(entry.request_id.as_deref(), Some("test"));
});

on_both_databases!(
    who_is_thrown_out_at_the_same_time_throws_out_nobody,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        for round in 0..20 {
            let name = format!("ada{round}");
            let owner = server.person(&name).await;
            let thief = server.log_in(&name, PASSWORD).await.expect("logged in");
            let (here, there) = if round % 2 == 0 {
                tokio::join!(server.end_others(&owner), server.end_others(&thief))
            } else {
                tokio::join!(
                    server.end_others(&owner),
                    server.change_password(&thief, PASSWORD, "the password of a thief")
                )
            };
            assert!(here.is_ok() != there.is_ok(), "{here:?} {there:?}");
            let (stays, goes) = if here.is_ok() {
                (&owner, &thief)
            } else {
                (&thief, &owner)
            };
            assert!(server.me(&stays.access_token).await.is_ok());
            assert_eq!(server.me(&goes.access_token).await, Err(unauthenticated()));
        }
    }
);

on_both_databases!(
    the_session_used_least_recently_makes_room_for_one_too_many,
    async |backend| {
        let site = Site::new(backend).await;
        let server = site.server().await;
        server.register("ada", PASSWORD).await.expect("accepted");
        // The longest answer there can be.
        let client = "\"".repeat(256);
        let log_in = async || -> Session {
            server
                .log_in_from(HOME, Some(&client), "ada", PASSWORD)
                .await
                .expect("logged in")
        };
        let first = log_in().await;
        let second = log_in().await;
        for _ in 2..100 {
            log_in().await;
        }
        site.later(1);
        let first = server
            .refresh(&first.refresh_token)
            .await
            .expect("refreshed");
        let newest = log_in().await;
        assert_eq!(
            server.me(&second.access_token).await,
            Err(unauthenticated()),
            "it was not used for longest"
        );
        assert_eq!(server.gateway.ended(), [second.id()]);
        assert!(server.me(&first.access_token).await.is_ok());
        let token = Some(newest.access_token.as_str());
        let (_, body) = server
            .call(Method::GET, "/auth/sessions", token, None)
            .await
            .expect("a list");
        assert_eq!(body["sessions"].as_array().expect("a list").len(), 100);
        let bytes = body.to_string().len();
        assert!(bytes <= 64 * 1024, "{bytes}");
    }
);

on_both_databases!(what_was_ended_long_ago_is_deleted, async |backend| {
    let site = Site::new(backend).await;
    let server = site.server().await;
    let ended = server.person("ada").await;
    server
        .log_out(&ended.refresh_token)
        .await
        .expect("logged out");
    site.later(25 * 3_600);
    let live = server.log_in("ada", PASSWORD).await.expect("logged in");
    let _live = server.start();
    let mut left = usize::MAX;
    for _ in 0..100 {
        use sea_orm::ConnectionTrait;
        let statement =
            sea_orm::Statement::from_string(site.db.backend(), "SELECT session_id FROM sessions");
        let rows = site.db.read().query_all_raw(statement).await;
        left = rows.expect("a query").len();
        if left == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(left, 1, "{} stays", live.id());
});

use filament_test_support::on_both_databases;
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Server, Session, Site, unauthenticated};

async fn is_over(server: &Server, session: &Session) {
    assert_eq!(
        server.me(&session.access_token).await,
        Err(unauthenticated())
    );
    assert_eq!(
        server.refresh(&session.refresh_token).await,
        Err(unauthenticated())
    );
    assert!(server.gateway.ended().contains(&session.id()));
}

on_both_databases!(the_operator_makes_accounts, async |backend| {
    let server = Site::new(backend).await.server().await;
    let made = server
        .operate("user.create", json!({ "username": "Ada" }))
        .await
        .expect("made");
    assert_eq!(made["username"], "Ada");
    let password = made["password"].as_str().expect("a password");
    assert!(server.log_in("ada", password).await.is_ok());

    let given = json!({ "username": "bob", "password": PASSWORD });
    let made = server
        .operate("user.create", given.clone())
        .await
        .expect("made");
    assert_eq!(made.get("password"), None, "the operator has it already");
    assert!(server.log_in("bob", PASSWORD).await.is_ok());

    let (status, code, _) = server
        .operate("user.create", given)
        .await
        .expect_err("taken");
    assert_eq!((status, code), (409, "username_taken"));
    for (data, field) in [
        (json!({ "username": "a b" }), "username"),
        (
            json!({ "username": "cleo", "password": "short" }),
            "password",
        ),
        (
            json!({ "username": "cleo", "password": "correct\0horse\tbattery" }),
            "password",
        ),
        (json!({ "username": "cleo", "admin": true }), "admin"),
        (json!({}), "missing field `username`"),
    ] {
        let (status, _, message) = server
            .operate("user.create", data)
            .await
            .expect_err("refused");
        assert_eq!(status, 400);
        assert!(message.starts_with(field), "{message}");
    }
    let entry = &server.audit.entries()[0];
    assert_eq!((entry.actor, entry.action), (None, "account.create"));
    assert_eq!(entry.details, Some(json!({ "by": "operator" })));
    assert_eq!(entry.request_id.as_deref(), Some("command"));
});

on_both_databases!(the_operator_lists_accounts_page_by_page, async |backend| {
    let server = Site::new(backend).await.server().await;
    for name in ["Dora", "ada", "a_c", "abc", "Bob"] {
        server.register(name, PASSWORD).await.expect("accepted");
    }
    let session = server.log_in("ada", PASSWORD).await.expect("logged in");
    server.log_in("ada", PASSWORD).await.expect("logged in");
    server
        .log_out(&session.refresh_token)
        .await
        .expect("logged out");
    let list = async |data: Value| server.operate("user.list", data).await.expect("a list");
    let names = |page: &Value| -> Vec<String> {
        let users = page["users"].as_array().expect("a list");
        let name = |user: &Value| user["username"].as_str().expect("a name").to_string();
        users.iter().map(name).collect()
    };

    let all = list(json!({})).await;
    assert_eq!(names(&all), ["a_c", "abc", "ada", "Bob", "Dora"]);
    assert_eq!(all["next_after"], Value::Null);
    let ada = &all["users"][2];
    assert_eq!(ada["live_sessions"], 1);
    assert_eq!(ada["disabled"], false);
    assert!(ada["last_used_at_unix"].as_i64() >= ada["created_at_unix"].as_i64());
    let bob = &all["users"][3];
    assert_eq!(bob["live_sessions"], 0);
    assert_eq!(bob["last_used_at_unix"], Value::Null);

    let mut seen = Vec::new();
    let mut after = Value::Null;
    loop {
        let page = list(json!({ "after": after, "limit": 2 })).await;
        seen.extend(names(&page));
        after = page["next_after"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(seen, ["a_c", "abc", "ada", "Bob", "Dora"]);
    assert_eq!(
        names(&list(json!({ "search": "O" })).await),
        ["Bob", "Dora"]
    );
    assert_eq!(
        names(&list(json!({ "search": "a_" })).await),
        ["a_c"],
        "a part of a name, not a pattern"
    );
    assert!(names(&list(json!({ "search": "%" })).await).is_empty());
    for limit in [0, 201] {
        let refused = server.operate("user.list", json!({ "limit": limit })).await;
        assert_eq!(refused.map_err(|refusal| refusal.0), Err(400));
    }
});

on_both_databases!(
    an_account_that_is_switched_off_is_as_good_as_unknown,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let ada = server.person("ada").await;
        let other = server.log_in("ada", PASSWORD).await.expect("logged in");
        let named = json!({ "username": "ADA" });
        let off = server
            .operate("user.disable", named.clone())
            .await
            .expect("switched off");
        assert_eq!(off["username"], "ada");
        assert_eq!(off["disabled"], true);
        assert_eq!(off["ended_sessions"], 2);
        is_over(&server, &ada).await;
        is_over(&server, &other).await;
        assert_eq!(server.log_in("ada", PASSWORD).await, Err(unauthenticated()));
        let again = server
            .operate("user.disable", named.clone())
            .await
            .expect("harmless");
        assert_eq!(again["ended_sessions"], 0);

        let on = server
            .operate("user.enable", named.clone())
            .await
            .expect("switched on");
        assert_eq!(on["disabled"], false);
        assert_eq!(
            server.refresh(&ada.refresh_token).await,
            Err(unauthenticated()),
            "what was ended stays ended"
        );
        assert!(server.log_in("ada", PASSWORD).await.is_ok());
        let actions = server.audit.actions();
        let count = |wanted| actions.iter().filter(|action| **action == wanted).count();
        assert_eq!(count("account.disable"), 1, "the second changed nothing");
        assert_eq!(count("account.enable"), 1);
        let unknown = server
            .operate("user.disable", json!({ "username": "nobody" }))
            .await;
        assert_eq!(unknown.map_err(|refusal| refusal.0), Err(404));
    }
);

on_both_databases!(
    right_passwords_of_an_account_that_is_off_lock_it_like_wrong_ones,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        server.person("ada").await;
        let named = json!({ "username": "ada" });
        server
            .operate("user.disable", named.clone())
            .await
            .expect("switched off");
        for _ in 0..5 {
            assert_eq!(server.log_in("ada", PASSWORD).await, Err(unauthenticated()));
        }
        server
            .operate("user.enable", named)
            .await
            .expect("switched on");
        assert_eq!(
            server.log_in("ada", PASSWORD).await,
            Err(unauthenticated()),
            "nobody can tell that it was off and not locked"
        );
    }
);

on_both_databases!(
    the_operator_gives_an_account_another_password,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let ada = server.person("ada").await;
        let reset = server
            .operate("user.reset_password", json!({ "username": "ada" }))
            .await
            .expect("reset");
        assert_eq!(reset["ended_sessions"], 1);
        is_over(&server, &ada).await;
        assert_eq!(server.log_in("ada", PASSWORD).await, Err(unauthenticated()));
        let password = reset["password"].as_str().expect("a password");
        assert!(server.log_in("ada", password).await.is_ok());
        let given = json!({ "username": "ada", "password": "a password of the operator" });
        let reset = server
            .operate("user.reset_password", given)
            .await
            .expect("reset");
        assert_eq!(reset.get("password"), None);
        assert!(
            server
                .log_in("ada", "a password of the operator")
                .await
                .is_ok()
        );
    }
);

on_both_databases!(
    the_operator_sees_and_ends_sessions_of_an_account,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let ada = server.person("ada").await;
        let other = server.log_in("ada", PASSWORD).await.expect("logged in");
        let eve = server.person("eve").await;
        let seen = server
            .operate("user.sessions", json!({ "username": "ada" }))
            .await
            .expect("a list");
        let user_id = &seen["user_id"];
        let seen = seen["sessions"].as_array().expect("a list");
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0]["session_id"], other.id().to_string());
        assert_eq!(seen[0]["network"], "127.0.0.0/24");
        assert_eq!(seen[0].get("current"), None);

        let end = async |data: Value| server.operate("user.end_sessions", data).await;
        let ended = |sessions: u32| {
            Ok(json!({ "user_id": user_id, "username": "ada", "ended_sessions": sessions }))
        };
        let one = json!({ "username": "ada", "session_id": other.id() });
        assert_eq!(end(one.clone()).await, ended(1));
        is_over(&server, &other).await;
        assert!(server.me(&ada.access_token).await.is_ok());
        assert_eq!(end(one).await.map_err(|refusal| refusal.0), Err(404));
        let foreign = json!({ "username": "ada", "session_id": eve.id() });
        assert_eq!(end(foreign).await.map_err(|refusal| refusal.0), Err(404));
        let all = json!({ "username": "ada" });
        assert_eq!(end(all.clone()).await, ended(1));
        is_over(&server, &ada).await;
        assert_eq!(end(all).await, ended(0));
        assert!(server.me(&eve.access_token).await.is_ok());
    }
);

on_both_databases!(
    what_the_operator_does_cannot_be_half_done,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let ada = server.person("ada").await;
        server.audit.breaks(true);
        for (command, data) in [
            ("user.disable", json!({ "username": "ada" })),
            ("user.reset_password", json!({ "username": "ada" })),
            ("user.end_sessions", json!({ "username": "ada" })),
            ("user.create", json!({ "username": "bob" })),
        ] {
            let answer = server.operate(command, data).await;
            assert_eq!(answer.map_err(|refusal| refusal.0), Err(500), "{command}");
        }
        assert!(server.me(&ada.access_token).await.is_ok());
        assert!(server.refresh(&ada.refresh_token).await.is_ok());
        assert!(server.gateway.ended().is_empty());
        server.audit.breaks(false);
        assert!(server.log_in("ada", PASSWORD).await.is_ok());
        let list = server
            .operate("user.list", json!({}))
            .await
            .expect("a list");
        assert_eq!(list["users"].as_array().expect("a list").len(), 1);
    }
);

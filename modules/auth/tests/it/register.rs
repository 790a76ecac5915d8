use std::collections::BTreeSet;

use filament_kernel::id::UserId;
use filament_test_support::on_both_databases;
use serde_json::json;

use crate::harness::{PASSWORD, Site, unauthenticated};

on_both_databases!(somebody_registers_logs_in_and_is_known, async |backend| {
    let server = Site::new(backend).await.server().await;
    assert_eq!(
        server.register("Ada_L.", PASSWORD).await,
        Ok(json!({ "accepted": true }))
    );
    let session = server
        .log_in("ada_l.", PASSWORD)
        .await
        .expect("names are known in any case");
    assert_eq!(session.expires_in_secs, 900);
    let me = server.me(&session.access_token).await.expect("known");
    let user_id = me["user_id"]
        .as_str()
        .expect("an id")
        .parse::<UserId>()
        .expect("an id");
    assert_eq!(
        me,
        json!({
            "user_id": user_id,
            "username": "Ada_L.",
            "about_markdown": "",
            "about_markdown_tokens": [],
            "avatar_version": 0,
            "banner_version": 0,
        })
    );
    let caller = server
        .authenticate(&session.access_token)
        .await
        .expect("known");
    assert_eq!((caller.user_id, caller.session_id), (user_id, session.id()));
    assert_eq!(server.audit.actions(), ["account.register", "session.open"]);
});

on_both_databases!(
    a_taken_name_is_answered_alike_and_changes_nothing,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        let accepted = Ok(json!({ "accepted": true }));
        assert_eq!(server.register("ada", PASSWORD).await, accepted);
        assert_eq!(
            server.register("ADA", "another good password").await,
            accepted
        );
        assert!(server.log_in("ada", PASSWORD).await.is_ok());
        assert_eq!(
            server.log_in("ada", "another good password").await,
            Err(unauthenticated())
        );
        assert_eq!(
            server.audit.actions(),
            [
                "account.register",
                "account.register_refused",
                "session.open"
            ],
            "it costs the same statements"
        );
    }
);

on_both_databases!(of_many_who_want_one_name_one_gets_it, async |backend| {
    let server = Site::new(backend).await.server().await;
    let passwords: Vec<String> = (0..16).map(|n| format!("{PASSWORD} {n}")).collect();
    let all = futures_util::future::join_all(
        passwords
            .iter()
            .map(|password| server.register("ada", password)),
    )
    .await;
    assert!(all.iter().all(Result::is_ok));
    let recorded = server.audit.actions();
    let made = recorded
        .iter()
        .filter(|action| **action == "account.register");
    assert_eq!(made.count(), 1);
});

on_both_databases!(
    a_registration_that_cannot_be_audited_did_not_happen,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        server.audit.breaks(true);
        assert_eq!(
            server
                .register("ada", PASSWORD)
                .await
                .map_err(|error| error.0),
            Err(500)
        );
        server.audit.breaks(false);
        assert_eq!(server.log_in("ada", PASSWORD).await, Err(unauthenticated()));
        assert!(server.register("ada", PASSWORD).await.is_ok());
        assert!(server.log_in("ada", PASSWORD).await.is_ok());
    }
);

on_both_databases!(
    bodies_that_break_a_rule_are_refused_by_name,
    async |backend| {
        let server = Site::new(backend).await.server().await;
        for (body, field) in [
            (
                json!({ "username": "ad", "password": PASSWORD }),
                "username",
            ),
            (
                json!({ "username": "a".repeat(33), "password": PASSWORD }),
                "username",
            ),
            (
                json!({ "username": "ada lovelace", "password": PASSWORD }),
                "username",
            ),
            (
                json!({ "username": "ada", "password": "x".repeat(11) }),
                "password",
            ),
            (
                json!({ "username": "ada", "password": "\u{1F600}".repeat(65) }),
                "password",
            ),
            (json!({ "username": "ada" }), "password"),
            (
                json!({ "username": "ada", "password": PASSWORD, "admin": true }),
                "admin",
            ),
            (
                json!({ "username": "ada", "password": PASSWORD, "captcha_token": "x".repeat(9_000) }),
                "captcha_token",
            ),
        ] {
            let (status, code, message) = server
                .post("/auth/register", body)
                .await
                .expect_err("refused");
            assert_eq!((status, code), (400, "invalid_request"));
            assert!(message.starts_with(field), "{message}");
            assert!(
                !message.contains(PASSWORD) && !message.contains("xxxx"),
                "{message}"
            );
        }
        let with_captcha =
            json!({ "username": "ada", "password": PASSWORD, "captcha_token": "anything" });
        assert!(server.post("/auth/register", with_captcha).await.is_ok());
        let without = json!({ "username": "bob", "password": PASSWORD, "captcha_token": null });
        assert!(server.post("/auth/register", without).await.is_ok());
    }
);

on_both_databases!(accounts_are_looked_up_by_id, async |backend| {
    let server = Site::new(backend).await.server().await;
    let mut known = BTreeSet::new();
    for name in ["ada", "Bob", "cleo"] {
        let session = server.person(name).await;
        known.insert(
            server
                .authenticate(&session.access_token)
                .await
                .expect("known")
                .user_id,
        );
    }
    let ids = filament_kernel::id::Ids::default();
    let mut asked: Vec<UserId> = (0..300).map(|_| ids.next()).collect();
    asked.extend(&known);
    asked.extend(&known);
    let accounts = server.accounts();
    let mut found = accounts.accounts(&asked).await.expect("an answer");
    found.sort_by_key(|account| account.user_id);
    assert_eq!(
        found
            .iter()
            .map(|account| account.user_id)
            .collect::<BTreeSet<_>>(),
        known
    );
    let names: Vec<&str> = found
        .iter()
        .map(|account| account.username.as_str())
        .collect();
    assert_eq!(names, ["ada", "Bob", "cleo"], "each once");
    assert_eq!(accounts.accounts(&[]).await.expect("an answer"), []);
});

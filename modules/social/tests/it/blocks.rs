use filament_test_support::on_both_databases;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{REQUEST_ID, World, users};

on_both_databases!(
    a_block_ends_what_there_is_and_the_other_is_not_told_of_it,
    async |backend| {
        let world = World::new(backend).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        let eve = world.person("eve").await;
        world.befriend(ada, bob).await;
        world.block(ada, bob).await.expect("blocked");
        assert!(world.friends_of(bob).await.is_empty());
        let names: Vec<&str> = world.told(bob).iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "friend_request_create",
                "friend_request_update",
                "friend_remove"
            ]
        );
        // A request, whichever way it went.
        let asked = world.ask(eve, ada).await.expect("asked");
        world.block(ada, eve).await.expect("blocked");
        let (name, told) = world.told(eve).pop().expect("told");
        assert_eq!(name, "friend_request_delete");
        assert_eq!(told["request_id"], asked["request_id"]);
        assert_eq!(world.rows("friend_requests").await, 0);

        let blocked = world.get(ada, "/blocks").await.body;
        assert_eq!(users(&blocked["blocked"]), [bob, eve]);
        assert_eq!(blocked["blocked"][0]["username"], "bob");
        assert!(blocked["blocked"][0]["created_at_unix"].is_i64());
        assert_eq!(blocked["next_cursor"], Value::Null);
        let blocked = world.get(bob, "/blocks").await.body;
        assert_eq!(blocked, json!({ "blocked": [], "next_cursor": null }));
    }
);

on_both_databases!(
    between_blocked_people_nobody_asks_until_it_is_lifted,
    async |backend| {
        let world = World::new(backend).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        world.block(ada, bob).await.expect("blocked");
        let events = world.events();
        let (status, _, message) = world.ask(ada, bob).await.expect_err("refused");
        assert_eq!(status, 400);
        assert!(message.contains("unblock first"), "{message}");
        let refusal = world.ask(bob, ada).await.expect_err("refused");
        assert_eq!(
            refusal,
            (
                403,
                "forbidden",
                "this user takes no friend requests from you now".to_owned()
            )
        );
        // Blocking back changes nothing for the first, and is lifted by its maker only.
        world.block(bob, ada).await.expect("blocked");
        world.unblock(ada, bob).await.expect("lifted");
        world.unblock(ada, bob).await.expect("idempotent");
        assert_eq!(world.ask(ada, bob).await.expect_err("refused"), refusal);
        assert_eq!(world.events(), events, "nobody is told");

        world.unblock(bob, ada).await.expect("lifted");
        world.befriend(ada, bob).await;
    }
);

on_both_databases!(
    blocks_and_their_lifting_are_in_the_audit_log_once,
    async |backend| {
        let world = World::new(backend).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        for _ in 0..2 {
            world.block(ada, bob).await.expect("blocked");
        }
        for _ in 0..2 {
            world.unblock(ada, bob).await.expect("lifted");
        }
        let entry = |action| (action, ada, bob, REQUEST_ID.to_owned());
        assert_eq!(
            world.audit.entries(),
            [entry("user.block"), entry("user.unblock")]
        );
    }
);

on_both_databases!(
    blocking_oneself_nobody_or_too_many_is_refused,
    async |backend| {
        let world = World::with(backend, |config| config.max_blocks_per_user = 3).await;
        let ada = world.person("ada").await;
        let (status, _, message) = world.block(ada, ada).await.expect_err("refused");
        assert_eq!(
            (status, message.as_str()),
            (400, "user_id: must be somebody else")
        );
        let nobody = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().expect("an id");
        let refused = world.block(ada, nobody).await.expect_err("refused");
        assert_eq!((refused.0, refused.1), (404, "not_found"));
        world.unblock(ada, nobody).await.expect("idempotent");

        let crowd = world.crowd(8).await;
        let blocked = join_all(crowd.iter().map(|user| world.block(ada, *user))).await;
        let refusals: Vec<_> = blocked.into_iter().filter_map(Result::err).collect();
        assert_eq!(refusals.len(), 5, "exact");
        assert!(refusals.iter().all(|refusal| refusal.1 == "quota_exceeded"));
        let kept = users(&world.get(ada, "/blocks").await.body["blocked"]);
        world.block(ada, kept[0]).await.expect("idempotent");
    }
);

on_both_databases!(
    blocked_users_come_in_pages_that_fit_lose_none_and_repeat_none,
    async |backend| {
        let world = World::new(backend).await;
        let ada = world.person("ada").await;
        let crowd = world.crowd(600).await;
        join_all(crowd.iter().map(|user| world.block(ada, *user)))
            .await
            .into_iter()
            .collect::<Result<(), _>>()
            .expect("blocked");
        let first = world.get(ada, "/blocks").await.body;
        let cursor = first["next_cursor"].as_str().expect("there is more");
        let second = world.get(ada, &format!("/blocks?cursor={cursor}")).await;
        assert_eq!(second.body["next_cursor"], Value::Null);
        let mut seen = users(&first["blocked"]);
        assert_eq!(seen.len(), 512);
        seen.extend(users(&second.body["blocked"]));
        assert_eq!(seen, crowd);
    }
);

on_both_databases!(
    a_request_beside_a_block_is_not_accepted_whoever_made_the_block,
    async |backend| {
        let world = World::new(backend).await;
        let ada = world.person("ada").await;
        for (name, by_sender) in [("bob", true), ("eve", false)] {
            let sender = world.person(name).await;
            let request = world.ask(sender, ada).await.expect("asked");
            if by_sender {
                world.block_beside(sender, ada).await;
            } else {
                world.block_beside(ada, sender).await;
            }
            let refused = world.accept(ada, &request).await.expect_err("refused");
            assert_eq!((refused.0, refused.1), (404, "not_found"), "{name}");
        }
        assert!(world.friends_of(ada).await.is_empty());
    }
);

on_both_databases!(
    blocking_and_unblocking_are_limited_by_the_minute,
    async |backend| {
        let world = World::with(backend, |config| {
            config.block_changes_per_minute_per_user = 3;
        })
        .await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        world.block(ada, bob).await.expect("blocked");
        world.unblock(ada, bob).await.expect("lifted");
        world.block(ada, bob).await.expect("blocked");
        let refused = [world.unblock(ada, bob).await, world.block(ada, bob).await];
        for refused in refused {
            let (status, code, _) = refused.expect_err("too often");
            assert_eq!((status, code), (429, "rate_limited"));
        }
        // The limit is each user's own.
        world.block(bob, ada).await.expect("blocked");
    }
);

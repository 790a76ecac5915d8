use filament_test_support::on_both_databases;

use crate::harness::World;

on_both_databases!(
    an_account_that_is_deleted_leaves_nothing_behind,
    async |backend| {
        let world = World::new(backend).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        let (eve, joe) = (world.person("eve").await, world.person("joe").await);
        let zoe = world.person("zoe").await;
        world.befriend(ada, bob).await;
        world.ask(eve, ada).await.expect("asked");
        world.ask(ada, joe).await.expect("asked");
        world.block(ada, zoe).await.expect("blocked");
        world.block(joe, ada).await.expect("blocked");

        world.delete_account(ada).await;
        for table in [
            "friendships",
            "friend_requests",
            "friend_request_tallies",
            "user_blocks",
        ] {
            assert_eq!(world.rows(table).await, 0, "{table}");
        }
        assert!(world.friends_of(bob).await.is_empty());
        let refused = world.ask(bob, ada).await.expect_err("gone");
        assert_eq!(refused.0, 404);
    }
);

on_both_databases!(
    an_account_that_goes_while_it_is_asked_or_blocked_is_not_found,
    async |backend| {
        let world = World::new(backend).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        world.delete_account_after_it_was_looked_up(bob).await;
        for refused in [
            world.ask(ada, bob).await.map(|_| ()),
            world.block(ada, bob).await,
        ] {
            let (status, code, _) = refused.expect_err("gone");
            assert_eq!((status, code), (404, "not_found"));
        }
        assert_eq!(world.events(), 0);
    }
);

use filament_test_support::on_both_databases;
use futures_util::future::join_all;
use serde_json::json;

use crate::harness::World;

on_both_databases!(
    each_side_hears_of_the_friendship_as_it_sees_it,
    async |backend| {
        let world = World::new(backend).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        let request = world.ask(ada, bob).await.expect("asked");
        world.accept(bob, &request).await.expect("accepted");
        let since = world.get(ada, "/friends").await.body["friends"][0]["created_at_unix"].clone();

        for (user, friend, name) in [(ada, bob, "bob"), (bob, ada, "ada")] {
            assert_eq!(
                world.get(user, "/friends").await.body,
                json!({ "friends": [{ "user_id": friend, "username": name, "created_at_unix": since }] })
            );
            let told = json!({
                "request_id": request["request_id"],
                "state": "accepted",
                "user_id": user,
                "friend_user_id": friend,
                "friend_username": name,
                "friendship_created_at_unix": since,
                "updated_at_unix": since,
                "actor_user_id": bob,
            });
            assert_eq!(
                world.told(user).pop(),
                Some(("friend_request_update", told))
            );
            assert_eq!(world.port_friends_of(user).await, [friend]);
        }
    }
);

on_both_databases!(
    a_friendship_is_ended_by_either_side_and_ending_it_again_is_nothing,
    async |backend| {
        let world = World::new(backend).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        for (who, whom) in [(ada, bob), (bob, ada)] {
            world.befriend(ada, bob).await;
            world.unfriend(who, whom).await.expect("ended");
            for (user, friend) in [(ada, bob), (bob, ada)] {
                let (name, mut told) = world.told(user).pop().expect("told");
                assert!(told["removed_at_unix"].take().is_i64());
                assert_eq!(name, "friend_remove");
                assert_eq!(
                    told,
                    json!({ "user_id": user, "friend_user_id": friend, "removed_at_unix": null, "actor_user_id": who })
                );
                assert!(world.friends_of(user).await.is_empty());
            }
        }
        let events = world.events();
        world.unfriend(ada, bob).await.expect("idempotent");
        world.unfriend(ada, ada).await.expect("idempotent");
        assert_eq!(world.events(), events);
    }
);

on_both_databases!(
    as_many_friends_as_one_answer_holds_with_the_longest_names_and_no_more,
    async |backend| {
        let world = World::new(backend).await;
        let crowd = world.crowd(521).await;
        let (star, fans) = crowd.split_first().expect("a crowd");
        let (early, late) = fans.split_at(490);
        for some in early.chunks(98) {
            join_all(some.iter().map(|fan| world.befriend(*fan, *star))).await;
        }
        let asked = join_all(late.iter().map(|fan| world.ask(*fan, *star))).await;
        let accepted = join_all(asked.iter().map(async |request| {
            let request = request.as_ref().expect("asked");
            world.accept(*star, request).await
        }))
        .await;
        let refusals: Vec<_> = accepted.into_iter().filter_map(Result::err).collect();
        assert_eq!(refusals.len(), 20, "exact");
        assert!(refusals.iter().all(|refusal| refusal.1 == "quota_exceeded"));

        let mut friends = world.friends_of(*star).await;
        assert_eq!(friends.len(), 500);
        assert!(friends.is_sorted());
        friends.dedup();
        assert_eq!(friends.len(), 500);
        assert_eq!(world.port_friends_of(*star).await, friends);

        // The limit is that of both sides: nobody else makes a friend of who has enough.
        let newcomer = world.person("newcomer").await;
        let request = world.ask(*star, newcomer).await.expect("asked");
        let refused = world.accept(newcomer, &request).await.expect_err("full");
        assert_eq!((refused.0, refused.1), (409, "quota_exceeded"));
        // The request waits for room.
        world.unfriend(friends[0], *star).await.expect("ended");
        world.accept(newcomer, &request).await.expect("accepted");
        assert_eq!(world.friends_of(*star).await.len(), 500);
    }
);

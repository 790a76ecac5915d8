use filament_test_support::on_both_databases;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Refusal, World};

/// An id that nobody has.
const NOBODY: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>) -> (u16, &'static str) {
    let (status, code, _) = result.expect_err("refused");
    (status, code)
}

on_both_databases!(
    who_asks_again_gets_the_request_that_waits_and_nobody_is_told_twice,
    async |backend| {
        let world = World::new(backend).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        let first = world.ask(ada, bob).await.expect("asked");
        assert_eq!(first["sender_username"], "ada");
        assert_eq!(first["recipient_username"], "bob");
        assert_eq!(world.ask(ada, bob).await, Ok(first.clone()));

        let mut told = first.clone();
        told["actor_user_id"] = json!(ada);
        let told = vec![("friend_request_create", told)];
        assert_eq!(world.told(ada), told);
        assert_eq!(world.told(bob), told);

        let empty = json!([]);
        let lists = world.get(ada, "/friends/requests").await.body;
        assert_eq!(lists, json!({ "incoming": empty, "outgoing": [first] }));
        let lists = world.get(bob, "/friends/requests").await.body;
        assert_eq!(lists, json!({ "incoming": [first], "outgoing": empty }));
    }
);

on_both_databases!(a_request_that_makes_no_sense_says_why, async |backend| {
    let world = World::new(backend).await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);

    let (status, code, message) = world.ask(ada, ada).await.expect_err("refused");
    assert_eq!((status, code), (400, "invalid_request"));
    assert_eq!(message, "recipient_user_id: must be somebody else");
    let nobody = NOBODY.parse().expect("an id");
    assert_eq!(refused(world.ask(ada, nobody).await), (404, "not_found"));

    let request = world.ask(ada, bob).await.expect("asked");
    let (status, _, message) = world.ask(bob, ada).await.expect_err("refused");
    assert_eq!(status, 400);
    assert!(message.contains("accept that one"), "{message}");

    world.accept(bob, &request).await.expect("accepted");
    for (one, other) in [(ada, bob), (bob, ada)] {
        let (status, _, message) = world.ask(one, other).await.expect_err("refused");
        assert_eq!(status, 400);
        assert_eq!(message, "recipient_user_id: is a friend already");
    }
    assert_eq!(world.rows("friend_requests").await, 0);
});

on_both_databases!(
    a_request_is_there_for_its_two_sides_only_and_once,
    async |backend| {
        let world = World::new(backend).await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        let eve = world.person("eve").await;
        let gone = (404, "not_found");

        let request = world.ask(ada, bob).await.expect("asked");
        assert_eq!(refused(world.accept(ada, &request).await), gone);
        assert_eq!(refused(world.accept(eve, &request).await), gone);
        assert_eq!(refused(world.decline(eve, &request).await), gone);

        // Declined.
        world.decline(bob, &request).await.expect("declined");
        assert_eq!(refused(world.decline(bob, &request).await), gone);
        assert_eq!(refused(world.accept(bob, &request).await), gone);
        let (name, told) = world.told(ada).pop().expect("told");
        assert_eq!(name, "friend_request_delete");
        assert_eq!(told["request_id"], request["request_id"]);
        assert_eq!(told["actor_user_id"], json!(bob));
        assert_eq!(world.told(bob), world.told(ada));

        // Withdrawn.
        let request = world.ask(ada, bob).await.expect("asked");
        world.decline(ada, &request).await.expect("withdrawn");
        assert_eq!(refused(world.accept(bob, &request).await), gone);

        // Accepted.
        let request = world.ask(ada, bob).await.expect("asked");
        world.accept(bob, &request).await.expect("accepted");
        assert_eq!(refused(world.accept(bob, &request).await), gone);
        assert_eq!(refused(world.decline(ada, &request).await), gone);
        assert!(world.told(eve).is_empty());
    }
);

on_both_databases!(
    the_same_person_is_asked_a_few_times_a_day_and_no_more,
    async |backend| {
        let world = World::with(backend, |config| {
            config.friend_requests_per_day_per_recipient = 2;
        })
        .await;
        let (ada, bob) = (world.person("ada").await, world.person("bob").await);
        let eve = world.person("eve").await;
        for _ in 0..2 {
            let request = world.ask(ada, bob).await.expect("asked");
            world.decline(bob, &request).await.expect("declined");
        }
        assert_eq!(refused(world.ask(ada, bob).await), (429, "rate_limited"));
        // Others may be asked, and the other way it is another count.
        world.ask(ada, eve).await.expect("asked");
        let request = world.ask(bob, ada).await.expect("asked");
        world.decline(ada, &request).await.expect("declined");

        world.later(86_400);
        world.ask(ada, bob).await.expect("asked the day after");
        // What is older than a day is not kept of who asks again.
        assert_eq!(world.rows("friend_request_tallies").await, 2);
    }
);

on_both_databases!(asking_is_limited_by_the_minute, async |backend| {
    let world = World::with(backend, |config| {
        config.friend_requests_per_minute_per_user = 3;
    })
    .await;
    let (ada, bob) = (world.person("ada").await, world.person("bob").await);
    for _ in 0..3 {
        world.ask(ada, bob).await.expect("asked");
    }
    assert_eq!(refused(world.ask(ada, bob).await), (429, "rate_limited"));
    let request = world.get(bob, "/friends/requests").await.body["incoming"][0].clone();
    world.decline(bob, &request).await.expect("not limited");
});

on_both_databases!(
    as_many_requests_wait_as_one_answer_holds_with_the_longest_names,
    async |backend| {
        let world = World::new(backend).await;
        let crowd = world.crowd(204).await;
        let (star, crowd) = crowd.split_first().expect("a crowd");
        let (fans, idols) = crowd.split_at(101);

        let asked = join_all(fans.iter().map(|fan| world.ask(*fan, *star))).await;
        let mut refusals = asked.into_iter().filter_map(Result::err);
        let full = refusals.next().expect("one too many");
        assert_eq!((full.0, full.1), (403, "forbidden"));
        assert_eq!(refusals.next(), None, "exact");

        let asked = join_all(idols[..101].iter().map(|idol| world.ask(*star, *idol))).await;
        let mut refusals = asked.into_iter().filter_map(Result::err);
        let (status, code, _) = refusals.next().expect("one too many");
        assert_eq!((status, code), (409, "quota_exceeded"));
        assert_eq!(refusals.next(), None, "exact");

        let lists = world.get(*star, "/friends/requests").await;
        let count = |list: &Value| list.as_array().map_or(0, Vec::len);
        assert_eq!(count(&lists.body["incoming"]), 100);
        assert_eq!(count(&lists.body["outgoing"]), 100);

        // Who is blocked hears the same as who comes too late.
        let shunned = idols[101];
        world.block(*star, shunned).await.expect("blocked");
        assert_eq!(world.ask(shunned, *star).await, Err(full));
        // An answer makes room.
        let oldest = lists.body["incoming"][0].clone();
        world.decline(*star, &oldest).await.expect("declined");
        let late = world.ask(fans[100], *star).await;
        let early = world.ask(fans[0], *star).await;
        assert!(late.is_ok() || early.is_ok());
    }
);

//! Friendships, requests for them and blocks, as both sides and everybody else see them.

use std::{collections::BTreeMap, sync::Arc};

use filament_test_support::{
    Backend, Event, GatewayClient, Person, Server, http::Method, on_both_databases,
    people::FriendRequest,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// An id that nothing has.
const NOTHING: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Every route with an id that nothing has, and a good body where one is taken.
fn routes() -> Vec<(Method, String, Option<Value>)> {
    let body = json!({ "recipient_user_id": NOTHING });
    vec![
        (Method::GET, "/friends".to_owned(), None),
        (Method::DELETE, format!("/friends/{NOTHING}"), None),
        (Method::GET, "/friends/requests".to_owned(), None),
        (Method::POST, "/friends/requests".to_owned(), Some(body)),
        (
            Method::POST,
            format!("/friends/requests/{NOTHING}/accept"),
            None,
        ),
        (Method::DELETE, format!("/friends/requests/{NOTHING}"), None),
        (Method::GET, "/blocks".to_owned(), None),
        (Method::POST, format!("/blocks/{NOTHING}"), None),
        (Method::DELETE, format!("/blocks/{NOTHING}"), None),
    ]
}

/// A server whose limits on asking no test meets by accident.
async fn server(backend: Backend) -> Server {
    Server::builder(backend)
        .env(
            "FILAMENT_SOCIAL__FRIEND_REQUESTS_PER_MINUTE_PER_USER",
            1_000_000,
        )
        .env(
            "FILAMENT_SOCIAL__FRIEND_REQUESTS_PER_DAY_PER_RECIPIENT",
            1_000_000,
        )
        .env(
            "FILAMENT_SOCIAL__BLOCK_CHANGES_PER_MINUTE_PER_USER",
            1_000_000,
        )
        .env("FILAMENT_AUTH__PROFILE_CHANGES_PER_HOUR", 10_000)
        .start()
        .await
}

/// The event is the request, and says who made it.
fn assert_asks(event: &Event, request: &FriendRequest) {
    let mut expected = json!(request);
    expected["actor_user_id"] = json!(request.sender_user_id);
    assert_eq!(event.data, expected);
}

on_both_databases!(two_people_become_friends_and_part_again, async |backend| {
    let server = server(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let mut adas = ada.listen().await;
    let mut bobs = bob.listen().await;

    let request = ada.ask_friendship(&bob).await;
    assert_eq!(request.sender_user_id, ada.user_id);
    assert_eq!(request.recipient_username, "bob");
    assert_asks(&adas.expect("friend_request_create").await, &request);
    assert_asks(&bobs.expect("friend_request_create").await, &request);
    assert_eq!(
        bob.friend_requests().await.incoming,
        std::slice::from_ref(&request)
    );
    assert_eq!(
        ada.friend_requests().await.outgoing,
        std::slice::from_ref(&request)
    );

    bob.accept(&request).await;
    for (ears, me, friend) in [(&mut adas, &ada, &bob), (&mut bobs, &bob, &ada)] {
        let told = ears.expect("friend_request_update").await.data;
        let since = told["friendship_created_at_unix"].clone();
        assert!(since.as_i64() > Some(1_700_000_000));
        assert_eq!(
            told,
            json!({
                "request_id": request.request_id,
                "state": "accepted",
                "user_id": me.user_id,
                "friend_user_id": friend.user_id,
                "friend_username": friend.name,
                "friendship_created_at_unix": since,
                "updated_at_unix": since,
                "actor_user_id": bob.user_id,
            })
        );
        let list = me.api.get("/friends").await.expect(200).body;
        assert_eq!(
            list,
            json!({ "friends": [{ "user_id": friend.user_id, "username": friend.name, "created_at_unix": since }] })
        );
        let requests = me.friend_requests().await;
        assert!(requests.incoming.is_empty() && requests.outgoing.is_empty());
    }

    let parting = format!("/friends/{}", bob.user_id);
    ada.api.delete(&parting).await.expect(204);
    for (ears, me, friend) in [(&mut adas, &ada, &bob), (&mut bobs, &bob, &ada)] {
        let mut told = ears.expect("friend_remove").await.data;
        assert!(told["removed_at_unix"].take().as_i64() > Some(1_700_000_000));
        assert_eq!(
            told,
            json!({
                "user_id": me.user_id,
                "friend_user_id": friend.user_id,
                "removed_at_unix": null,
                "actor_user_id": ada.user_id,
            })
        );
        assert!(me.friends().await.is_empty());
    }
    ada.api.delete(&parting).await.expect(204);
    adas.expect_silence().await;
    bobs.expect_silence().await;

    let metrics = server.api().get("/metrics").await.expect(200).text;
    for count in [
        "filament_social_friend_requests_total 1",
        "filament_social_friendships_total 1",
    ] {
        assert!(metrics.contains(count), "{metrics}");
    }
});

on_both_databases!(
    a_request_is_declined_or_withdrawn_once_and_both_sides_hear_of_it,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let mut adas = ada.listen().await;
        let mut bobs = bob.listen().await;
        for who in [&ada, &bob] {
            let request = ada.ask_friendship(&bob).await;
            let path = format!("/friends/requests/{}", request.request_id);
            who.api.delete(&path).await.expect(204);
            who.api.delete(&path).await.expect_error(404, "not_found");
            for ears in [&mut adas, &mut bobs] {
                ears.expect("friend_request_create").await;
                let mut told = ears.expect("friend_request_delete").await.data;
                assert!(told["deleted_at_unix"].take().as_i64() > Some(1_700_000_000));
                assert_eq!(
                    told,
                    json!({
                        "request_id": request.request_id,
                        "deleted_at_unix": null,
                        "actor_user_id": who.user_id,
                    })
                );
            }
        }
        assert!(ada.friend_requests().await.outgoing.is_empty());
    }
);

on_both_databases!(a_third_person_learns_nothing, async |backend| {
    let server = server(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let eve = Person::register(&server, "eve").await;
    let mut ears = eve.listen().await;

    let request = ada.ask_friendship(&bob).await;
    for (method, rest) in [(Method::POST, "/accept"), (Method::DELETE, "")] {
        let mut answers = Vec::new();
        for id in [request.request_id.as_str(), NOTHING] {
            let path = format!("/friends/requests/{id}{rest}");
            let answer = eve
                .api
                .send(eve.api.request(method.clone(), &path))
                .await
                .expect_error(404, "not_found");
            answers.push(answer.message().to_owned());
        }
        assert_eq!(answers[0], answers[1]);
    }
    // Not even the sender accepts.
    let accept = format!("/friends/requests/{}/accept", request.request_id);
    ada.api
        .post_nothing(&accept)
        .await
        .expect_error(404, "not_found");
    bob.accept(&request).await;
    ada.block(&bob).await;

    ears.expect_silence().await;
    let requests = eve.friend_requests().await;
    assert!(requests.incoming.is_empty() && requests.outgoing.is_empty());
    assert!(eve.friends().await.is_empty() && eve.blocked().await.is_empty());

    let nobody = server.api();
    for (method, path, body) in routes() {
        let request = nobody.request(method, &path);
        let answer = nobody.send(match body {
            Some(body) => request.json(&body),
            None => request,
        });
        answer.await.expect_error(401, "invalid_credentials");
    }
});

on_both_databases!(who_is_blocked_is_kept_off_and_not_told, async |backend| {
    let server = server(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    ada.befriend(&bob).await;
    let mut bobs = bob.listen().await;
    for _ in 0..2 {
        ada.block(&bob).await;
    }
    assert_eq!(ada.blocked().await, std::slice::from_ref(&bob.user_id));
    assert!(bob.blocked().await.is_empty());
    assert!(ada.friends().await.is_empty() && bob.friends().await.is_empty());
    let told = bobs.expect("friend_remove").await;
    assert_eq!(told.data["friend_user_id"], *ada.user_id);

    let ask = |other: &Person| json!({ "recipient_user_id": other.user_id });
    let kept_off = bob.api.post("/friends/requests", ask(&ada)).await;
    let kept_off = kept_off.expect_error(403, "forbidden");
    assert_eq!(
        kept_off.message(),
        "this user takes no friend requests from you now"
    );
    let told = ada.api.post("/friends/requests", ask(&bob)).await;
    let told = told.expect_error(400, "invalid_request");
    assert!(told.message().contains("unblock first"), "{told:?}");
    ada.api
        .post_nothing(&format!("/blocks/{}", ada.user_id))
        .await
        .expect_error(400, "invalid_request");
    ada.api
        .post_nothing(&format!("/blocks/{NOTHING}"))
        .await
        .expect_error(404, "not_found");

    for _ in 0..2 {
        ada.unblock(&bob).await;
    }
    bobs.expect_silence().await;
    assert!(ada.blocked().await.is_empty());
    bob.befriend(&ada).await;
});

on_both_databases!(
    a_list_that_is_full_and_a_block_sound_the_same,
    async |backend| {
        let server = Server::builder(backend)
            .env("FILAMENT_SOCIAL__MAX_INCOMING_REQUESTS_PER_USER", 1)
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        bob.ask_friendship(&ada).await;
        let ask = json!({ "recipient_user_id": ada.user_id });
        let full = eve.api.post("/friends/requests", &ask).await;
        let full = full.expect_error(403, "forbidden");
        ada.block(&eve).await;
        let blocked = eve.api.post("/friends/requests", &ask).await;
        let blocked = blocked.expect_error(403, "forbidden");
        assert_eq!(full.message(), blocked.message());
    }
);

on_both_databases!(
    of_many_who_answer_a_request_at_once_one_does,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        for _ in 0..4 {
            let request = ada.ask_friendship(&bob).await;
            let path = format!("/friends/requests/{}", request.request_id);
            let mut answers = JoinSet::new();
            for n in 0..50 {
                let api = [&ada.api, &bob.api][n / 2 % 2].clone();
                let (accepts, path) = (n % 2 == 0, path.clone());
                let bobs = bob.api.clone();
                answers.spawn(async move {
                    let answer = if accepts {
                        bobs.post_nothing(&format!("{path}/accept")).await
                    } else {
                        api.delete(&path).await
                    };
                    (accepts, answer.status)
                });
            }
            let answers = answers.join_all().await;
            let done: Vec<_> = answers.iter().filter(|(_, status)| *status < 300).collect();
            assert_eq!(done.len(), 1, "{answers:?}");
            assert!(
                answers
                    .iter()
                    .all(|(_, status)| *status < 300 || *status == 404)
            );
            let friends = ada.friends().await.len();
            assert_eq!(friends == 1, done[0].0, "{answers:?}");
            assert_eq!(bob.friends().await.len(), friends);
            assert!(bob.friend_requests().await.incoming.is_empty());
            ada.api
                .delete(&format!("/friends/{}", bob.user_id))
                .await
                .expect(204);
        }
    }
);

/// What somebody's events add up to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Standing {
    /// Each with the name that they have.
    friends: BTreeMap<String, String>,
    requests: Vec<String>,
}

impl Standing {
    /// Takes in what `me` hears.
    fn hear(&mut self, me: &Person, event: &Event) {
        let text = |field: &str| event.data[field].as_str().expect("a text").to_owned();
        let known = |was: bool| assert!(was, "{event} of what is not there");
        let mut answered = |id: String| {
            let before = self.requests.len();
            self.requests.retain(|one| *one != id);
            known(self.requests.len() < before);
        };
        match event.name.as_str() {
            "friend_request_create" => self.requests.push(text("request_id")),
            "friend_request_delete" => answered(text("request_id")),
            "friend_request_update" => {
                answered(text("request_id"));
                self.friends
                    .insert(text("friend_user_id"), text("friend_username"));
            }
            "friend_remove" => known(self.friends.remove(&text("friend_user_id")).is_some()),
            "profile_update" if event.data["user_id"] == *me.user_id => {}
            "profile_update" => {
                let name = event.data["updated_fields"]["username"].as_str();
                let name = name.expect("a name").to_owned();
                known(self.friends.insert(text("user_id"), name).is_some());
            }
            other => panic!("an event {other}"),
        }
        assert!(
            self.friends.len() <= 1 && self.requests.len() <= 1,
            "{self:?}"
        );
    }

    async fn of(person: &Person) -> Self {
        let requests = person.friend_requests().await;
        let requests = requests.incoming.into_iter().chain(requests.outgoing);
        let friends = person.api.get("/friends").await.expect(200).body;
        let friends = friends["friends"].as_array().expect("a list").iter();
        let text = |friend: &Value, field: &str| friend[field].as_str().expect("text").to_owned();
        Self {
            friends: friends
                .map(|friend| (text(friend, "user_id"), text(friend, "username")))
                .collect(),
            requests: requests.map(|request| request.request_id).collect(),
        }
    }
}

/// Hears everything up to `last`, which is not counted.
async fn hear_until(
    me: &Person,
    ears: &mut GatewayClient,
    standing: &mut Standing,
    last: &FriendRequest,
) {
    loop {
        let event = ears.next_event().await;
        if event.data["request_id"] == *last.request_id {
            return;
        }
        standing.hear(me, &event);
    }
}

/// One of the things that two people can do to each other. Refusals are as good as anything here; failures are not.
async fn something(n: usize, me: Arc<Person>, other: Arc<Person>) {
    let (api, id) = (&me.api, &other.user_id);
    let answer = match n % 7 {
        0 | 1 => {
            let ask = json!({ "recipient_user_id": id });
            api.post("/friends/requests", ask).await
        }
        2 | 3 => {
            let requests = me.friend_requests().await;
            let Some(request) = requests.incoming.first().or(requests.outgoing.first()) else {
                return;
            };
            let path = format!("/friends/requests/{}", request.request_id);
            if n % 7 == 2 {
                api.post_nothing(&format!("{path}/accept")).await
            } else {
                api.delete(&path).await
            }
        }
        4 => api.delete(&format!("/friends/{id}")).await,
        5 => {
            let name = format!("{}{n}", me.name);
            let change = json!({ "username": name });
            api.patch("/users/me/profile", change).await
        }
        _ if n % 14 == 6 => api.post_nothing(&format!("/blocks/{id}")).await,
        _ => api.delete(&format!("/blocks/{id}")).await,
    };
    assert!(
        [200, 204, 400, 403, 404].contains(&answer.status),
        "{answer:?}"
    );
}

on_both_databases!(
    whatever_two_people_do_at_once_both_hear_exactly_what_it_came_to,
    async |backend| {
        let server = server(backend).await;
        let ada = Arc::new(Person::register(&server, "ada").await);
        let bob = Arc::new(Person::register(&server, "bob").await);
        let eve = Person::register(&server, "eve").await;
        let mut adas = ada.listen().await;
        let mut bobs = bob.listen().await;
        let (mut ada_heard, mut bob_heard) = (Standing::default(), Standing::default());
        for round in 0..6 {
            let mut deeds = JoinSet::new();
            for n in 0..50 {
                let (me, other) = if n % 2 == round % 2 {
                    (ada.clone(), bob.clone())
                } else {
                    (bob.clone(), ada.clone())
                };
                deeds.spawn(something(n / 2 + round, me, other));
            }
            deeds.join_all().await;

            let adas_lists = Standing::of(&ada).await;
            let bobs_lists = Standing::of(&bob).await;
            assert_eq!(adas_lists.requests, bobs_lists.requests);
            assert_eq!(adas_lists.friends.len(), bobs_lists.friends.len());
            if !ada.blocked().await.is_empty() || !bob.blocked().await.is_empty() {
                assert_eq!(adas_lists, Standing::default());
            }
            // What comes last in each stream: before it, everything has been heard.
            for (person, ears, heard, lists) in [
                (&ada, &mut adas, &mut ada_heard, &adas_lists),
                (&bob, &mut bobs, &mut bob_heard, &bobs_lists),
            ] {
                let last = eve.ask_friendship(person).await;
                hear_until(person, ears, heard, &last).await;
                assert_eq!(heard, lists);
                let path = format!("/friends/requests/{}", last.request_id);
                eve.api.delete(&path).await.expect(204);
                ears.expect("friend_request_delete").await;
            }

            // Everything is undone for the next round, which hears of it.
            for (me, other) in [(&ada, &bob), (&bob, &ada)] {
                me.block(other).await;
                me.unblock(other).await;
            }
        }
    }
);

on_both_databases!(
    a_name_given_while_a_friendship_begins_or_ends_is_told_to_friends_and_to_nobody_else,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        let mut adas = ada.listen().await;
        let mut heard = Standing::default();
        for round in 0..20 {
            // At the beginning bob answers a request, at the end he parts; and gives himself another name in the same moment.
            for begins in [true, false] {
                let path = if begins {
                    let request = ada.ask_friendship(&bob).await;
                    format!("/friends/requests/{}/accept", request.request_id)
                } else {
                    format!("/friends/{}", ada.user_id)
                };
                let act = async {
                    if begins {
                        bob.api.post_nothing(&path).await.expect(200)
                    } else {
                        bob.api.delete(&path).await.expect(204)
                    }
                };
                let name = json!({ "username": format!("bob{round}{begins}") });
                let rename = async { bob.api.patch("/users/me/profile", name).await.expect(200) };
                tokio::join!(act, rename);
                // What comes last in the stream: before it, everything has been heard.
                let last = eve.ask_friendship(&ada).await;
                hear_until(&ada, &mut adas, &mut heard, &last).await;
                let withdraw = format!("/friends/requests/{}", last.request_id);
                eve.api.delete(&withdraw).await.expect(204);
                adas.expect("friend_request_delete").await;
                assert_eq!(heard, Standing::of(&ada).await, "round {round}");
            }
        }
    }
);

on_both_databases!(
    switched_off_it_says_so_the_rest_works_and_it_comes_back_with_its_data,
    async |backend| {
        let server = server(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        ada.befriend(&bob).await;
        let request = eve.ask_friendship(&ada).await;
        let mut adas = ada.listen().await;

        server.write_config("[modules]\nsocial = false\n");
        server.cli(&["reload"]).await.expect(0);
        let down = adas.next_named("module_down").await;
        assert_eq!(down.data["module"], "social");
        for (method, path, body) in routes() {
            let asked = ada.api.request(method, &path);
            let answer = ada.api.send(match body {
                Some(body) => asked.json(&body),
                None => asked,
            });
            answer.await.expect_error(404, "module_disabled");
        }
        ada.api.get("/auth/me").await.expect(200);
        ada.api.get("/guilds").await.expect(200);

        server.write_config("[modules]\nsocial = true\n");
        server.cli(&["reload"]).await.expect(0);
        adas.next_named("module_up").await;
        assert_eq!(ada.friends().await, std::slice::from_ref(&bob.user_id));
        ada.accept(&request).await;
        let told = adas.next_named("friend_request_update").await;
        assert_eq!(told.data["friend_user_id"], *eve.user_id);
    }
);

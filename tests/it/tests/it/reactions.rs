//! Reactions: set, counted, shown to each in their own way, and told.

use filament_test_support::{
    Answer, Channel, Guild, Message, Person, Server, Visibility, http::Method, on_both_databases,
    people::messages_of,
};
use serde_json::{Value, json};

/// Every byte percent-encoded, as a careful client does it.
fn encoded(emoji: &str) -> String {
    emoji.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Where a reaction is.
pub(crate) fn reaction_at(place: (&Guild, &Channel), message: &str, emoji: &str) -> String {
    let messages = messages_of(place.0, place.1);
    format!("{messages}/{message}/reactions/{}", encoded(emoji))
}

async fn add(person: &Person, place: (&Guild, &Channel), message: &str, emoji: &str) -> Answer {
    let path = reaction_at(place, message, emoji);
    person.api.post_nothing(&path).await
}

async fn remove(person: &Person, place: (&Guild, &Channel), message: &str, emoji: &str) -> Answer {
    let path = reaction_at(place, message, emoji);
    person.api.delete(&path).await
}

/// The reactions to the only message of a channel.
async fn reactions(person: &Person, place: (&Guild, &Channel)) -> Value {
    let history = person.history(place.0, place.1).await;
    json!(history[0].reactions)
}

on_both_databases!(
    a_reaction_is_shown_to_each_in_their_own_way_and_told_once,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let other = ada.open_channel(&guild, "other").await;
        bob.join(&guild).await;
        let place = (&guild, &channel);
        let said = ada.say(&guild, &channel, "hello").await.message_id;
        let mut ears = ada.listen_in(&guild, &channel).await;
        let mut elsewhere = ada.listen_in(&guild, &other).await;
        ears.drain().await;
        elsewhere.drain().await;

        let heart = "\u{2764}\u{fe0f}";
        let seen = |count: u64, by_me: bool, users: &[&Person]| {
            let users: Vec<&str> = users.iter().map(|user| user.user_id.as_str()).collect();
            json!({ "emoji": heart, "count": count, "reacted_by_me": by_me, "reactor_user_ids": users })
        };
        let told = |count: u64, operation: &str, actor: &Person| {
            json!({
                "guild_id": guild.guild_id, "channel_id": channel.channel_id, "message_id": said,
                "emoji": heart, "count": count, "operation": operation, "actor_user_id": actor.user_id,
            })
        };
        let answer = add(&bob, place, &said, heart).await.expect(200);
        assert_eq!(answer.body, seen(1, true, &[&bob]));
        assert_eq!(
            ears.expect("message_reaction").await.data,
            told(1, "add", &bob)
        );
        assert_eq!(
            reactions(&ada, place).await,
            json!([seen(1, false, &[&bob])])
        );
        assert_eq!(
            reactions(&bob, place).await,
            json!([seen(1, true, &[&bob])])
        );

        let answer = add(&ada, place, &said, heart).await.expect(200);
        assert_eq!(answer.body, seen(2, true, &[&bob, &ada]));
        assert_eq!(
            ears.expect("message_reaction").await.data,
            told(2, "add", &ada)
        );

        // Again is no change, and no news.
        let answer = add(&ada, place, &said, heart).await.expect(200);
        assert_eq!(answer.body, seen(2, true, &[&bob, &ada]));
        ears.expect_silence().await;

        let answer = remove(&bob, place, &said, heart).await.expect(200);
        assert_eq!(answer.body, seen(1, false, &[&ada]));
        assert_eq!(
            ears.expect("message_reaction").await.data,
            told(1, "remove", &bob)
        );
        let answer = remove(&bob, place, &said, heart).await.expect(200);
        assert_eq!(answer.body, seen(1, false, &[&ada]));
        ears.expect_silence().await;

        // The emoji goes with the last who set it.
        let answer = remove(&ada, place, &said, heart).await.expect(200);
        assert_eq!(answer.body, seen(0, false, &[]));
        assert_eq!(
            ears.expect("message_reaction").await.data,
            told(0, "remove", &ada)
        );
        assert_eq!(reactions(&ada, place).await, json!([]));
        let answer = remove(&ada, place, &said, heart).await.expect(200);
        assert_eq!(answer.body, seen(0, false, &[]));
        ears.expect_silence().await;
        elsewhere.expect_silence().await;
    }
);

on_both_databases!(an_emoji_is_taken_as_it_is_written, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Private).await;
    let channel = ada.open_channel(&guild, "general").await;
    let place = (&guild, &channel);
    let said = ada.say(&guild, &channel, "hello").await.message_id;
    let good = [
        "\u{1F44D}",
        "\u{1F44D}\u{1F3FD}",
        "\u{2764}",
        "\u{2764}\u{fe0f}",
        "\u{1F468}\u{200d}\u{1F469}\u{200d}\u{1F467}\u{200d}\u{1F466}",
        "\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
        "\u{1F1EB}\u{1F1EE}",
        "e\u{301}",
        "\u{e9}",
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        ":shrug:",
        "/",
        "a/b",
        "100%",
        "%2F",
        "?#&=+;",
        "\"\\",
        "A",
        "a",
        &"\u{1F600}".repeat(16),
        &"\u{4e00}".repeat(32),
    ];
    for emoji in good {
        let answer = add(&ada, place, &said, emoji).await.expect(200);
        assert_eq!(answer.body["emoji"], emoji);
        assert_eq!(answer.body["count"], 1, "{emoji} is none of the others");
    }
    let shown = reactions(&ada, place).await;
    let shown: Vec<&str> = shown
        .as_array()
        .expect("reactions")
        .iter()
        .filter_map(|reaction| reaction["emoji"].as_str())
        .collect();
    assert_eq!(shown, good, "in the order in which they came");

    for bad in [
        " ",
        "a b",
        "\u{1F600}\n",
        "\u{a0}",
        "\u{2003}",
        "\u{feff}",
        "\0",
        "\u{7f}",
        &"a".repeat(33),
        &"\u{1F600}".repeat(17),
    ] {
        for answer in [
            add(&ada, place, &said, bad).await,
            remove(&ada, place, &said, bad).await,
        ] {
            let answer = answer.expect_error(400, "invalid_request");
            assert!(answer.message().starts_with("emoji: must"), "{answer:?}");
        }
    }
    let messages = messages_of(&guild, &channel);
    for bad in ["%FF", "%ED%A0%80"] {
        let path = format!("{messages}/{said}/reactions/{bad}");
        ada.api
            .post_nothing(&path)
            .await
            .expect_error(400, "invalid_request");
    }
    // No emoji is no such route.
    ada.api
        .post_nothing(&format!("{messages}/{said}/reactions/"))
        .await
        .expect_error(404, "not_found");
});

on_both_databases!(
    a_message_has_64_different_reactions_and_no_more,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        let place = (&guild, &channel);
        let said = ada.say(&guild, &channel, "hello").await.message_id;
        let emoji = |n: u32| format!("{n:02}{}", "\u{4e00}".repeat(30));
        for n in 0..64 {
            add(&ada, place, &said, &emoji(n)).await.expect(200);
        }
        let refused = add(&bob, place, &said, "more").await;
        let refused = refused.expect_error(409, "quota_exceeded");
        assert!(refused.message().contains("64"), "{refused:?}");
        // What is there can be joined, and what goes makes room.
        let joined = add(&bob, place, &said, &emoji(7)).await.expect(200);
        assert_eq!(joined.body["count"], 2);
        remove(&ada, place, &said, &emoji(8)).await.expect(200);
        add(&bob, place, &said, "more").await.expect(200);
        let all = reactions(&bob, place).await;
        assert_eq!(all.as_array().map(Vec::len), Some(64));
    }
);

// 40 people set 25 emoji under one message, all at once: each emoji has more than can be listed.
on_both_databases!(
    counts_are_exact_when_a_thousand_react_at_once,
    async |backend| {
        const PEOPLE: usize = 40;
        const EMOJI: usize = 25;
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let said = ada.say(&guild, &channel, "hello").await.message_id;
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            let person = Person::register(&server, &format!("person{n}")).await;
            person.join(&guild).await;
            people.push(person);
        }
        let mut ears = ada.listen_in(&guild, &channel).await;
        ears.drain().await;
        // Everybody asks twice for everything: half of it is no change.
        let toggle_all = async |method: Method, people: &[Person]| {
            let mut asked = tokio::task::JoinSet::new();
            for person in people {
                for n in 0..EMOJI {
                    let path = reaction_at((&guild, &channel), &said, &format!("e{n}"));
                    let (api, method) = (person.api.clone(), method.clone());
                    asked.spawn(async move {
                        for _ in 0..2 {
                            let request = api.request(method.clone(), &path);
                            api.send(request).await.expect(200);
                        }
                    });
                }
            }
            asked.join_all().await;
        };
        let hear = async |ears: &mut filament_test_support::GatewayClient, events: usize| {
            let mut counts = std::collections::BTreeMap::new();
            for _ in 0..events {
                let told = ears.expect("message_reaction").await.data;
                let by_one = told["count"].as_i64().unwrap_or(-1);
                let emoji = told["emoji"].as_str().unwrap_or("").to_owned();
                let before = counts.insert(emoji, by_one).unwrap_or(by_one);
                assert!((before - by_one).abs() <= 1, "each change is told: {told}");
            }
            counts
        };

        let (_, counts) = tokio::join!(
            toggle_all(Method::POST, &people),
            hear(&mut ears, PEOPLE * EMOJI)
        );
        assert_eq!(counts.len(), EMOJI);
        assert!(counts.values().all(|count| *count == PEOPLE as i64));
        for viewer in [&ada, &people[0], &people[PEOPLE - 1]] {
            let shown = reactions(viewer, (&guild, &channel)).await;
            let shown = shown.as_array().expect("reactions");
            assert_eq!(shown.len(), EMOJI);
            for reaction in shown {
                assert_eq!(reaction["count"], PEOPLE);
                assert_eq!(reaction["reacted_by_me"], viewer.user_id != ada.user_id);
                let listed = reaction["reactor_user_ids"].as_array().expect("users");
                let distinct: std::collections::BTreeSet<&str> =
                    listed.iter().filter_map(Value::as_str).collect();
                assert_eq!((listed.len(), distinct.len()), (32, 32));
            }
        }

        let (leaving, staying) = people.split_at(30);
        let (_, counts) = tokio::join!(
            toggle_all(Method::DELETE, leaving),
            hear(&mut ears, leaving.len() * EMOJI)
        );
        assert!(counts.values().all(|count| *count == 10));
        ears.expect_silence().await;
        let shown = reactions(&staying[0], (&guild, &channel)).await;
        for reaction in shown.as_array().expect("reactions") {
            assert_eq!(
                (&reaction["count"], &reaction["reacted_by_me"]),
                (&json!(10), &json!(true))
            );
            let listed = reaction["reactor_user_ids"].as_array().expect("users");
            assert!(
                staying
                    .iter()
                    .all(|one| listed.contains(&json!(one.user_id)))
            );
        }
    }
);

on_both_databases!(
    a_page_shows_the_reactions_of_each_of_its_messages,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Private).await;
        let channel = ada.open_channel(&guild, "general").await;
        let other = ada.open_channel(&guild, "other").await;
        let mut expected: Vec<Message> = Vec::new();
        for n in 0..30 {
            // In the other channel there is the same, in between.
            let aside = ada.say(&guild, &other, "aside").await.message_id;
            add(&ada, (&guild, &other), &aside, "x").await.expect(200);
            let mut said = ada.say(&guild, &channel, &format!("number {n}")).await;
            for emoji in 0..n % 4 {
                let emoji = format!("e{emoji}");
                let set = add(&ada, (&guild, &channel), &said.message_id, &emoji).await;
                said.reactions.push(set.expect(200).body);
            }
            expected.push(said);
        }
        assert_eq!(ada.history(&guild, &channel).await, expected);
        let page = ada.history_page(&guild, &channel, "?limit=7").await;
        let newest: Vec<Message> = expected.iter().rev().take(7).cloned().collect();
        assert_eq!(page.messages, newest);
    }
);

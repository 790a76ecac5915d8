//! Messages after they were said: edited, deleted, and the same for whoever listened and whoever asks later.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use filament_test_support::{
    Channel, Event, GatewayClient, Guild, Message, Person, Server, Visibility, http::Method,
    on_both_databases, people::messages_of,
};
use serde_json::{Value, json};

use crate::reactions::reaction_at;

/// An id that nothing has.
const NOTHING: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn message_at(guild: &Guild, channel: &Channel, message: &str) -> String {
    format!("{}/{message}", messages_of(guild, channel))
}

on_both_databases!(
    an_edited_message_keeps_its_time_and_its_reactions,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        let said = ada.say(&guild, &channel, "hello").await;
        let at = message_at(&guild, &channel, &said.message_id);
        let reaction = reaction_at((&guild, &channel), &said.message_id, "\u{1F44D}");
        bob.api.post_nothing(&reaction).await.expect(200);
        let mut ears = bob.listen_in(&guild, &channel).await;
        ears.drain().await;

        let edited: Message = ada
            .api
            .patch(&at, json!({ "content": "hello *Bob*" }))
            .await
            .read();
        let tokens = json!([
            { "type": "paragraph_start" },
            { "type": "text", "text": "hello " },
            { "type": "emphasis_start" },
            { "type": "text", "text": "Bob" },
            { "type": "emphasis_end" },
            { "type": "paragraph_end" },
        ]);
        assert_eq!(json!(edited.markdown_tokens), tokens);
        let expected = Message {
            content: "hello *Bob*".into(),
            markdown_tokens: edited.markdown_tokens.clone(),
            reactions: vec![json!({
                "emoji": "\u{1F44D}", "count": 1, "reacted_by_me": false, "reactor_user_ids": [bob.user_id],
            })],
            ..said
        };
        assert_eq!(edited, expected);
        assert_eq!(ada.history(&guild, &channel).await, [expected]);

        let mut told = ears.expect("message_update").await.data;
        let at_unix = told["updated_at_unix"].take();
        assert!(
            at_unix.as_i64() >= Some(edited.created_at_unix),
            "{at_unix}"
        );
        assert_eq!(
            told,
            json!({
                "guild_id": guild.guild_id, "channel_id": channel.channel_id, "message_id": edited.message_id,
                "updated_fields": { "content": "hello *Bob*", "markdown_tokens": tokens },
                "updated_at_unix": null, "actor_user_id": ada.user_id,
            })
        );

        for body in [
            json!({}),
            json!({ "content": "" }),
            json!({ "content": null }),
            json!({ "content": "x".repeat(2_001) }),
            json!({ "content": "\u{1F600}".repeat(1_001) }),
            json!({ "content": "x", "attachment_ids": [] }),
        ] {
            ada.api
                .patch(&at, body)
                .await
                .expect_error(400, "invalid_request");
        }
        ears.expect_silence().await;
    }
);

on_both_databases!(a_deleted_message_is_gone_for_good, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Private).await;
    let channel = ada.open_channel(&guild, "general").await;
    let other = ada.open_channel(&guild, "other").await;
    let first = ada.say(&guild, &channel, "first").await;
    let second = ada.say(&guild, &channel, "second").await;
    let third = ada.say(&guild, &channel, "third").await;
    let at = message_at(&guild, &channel, &second.message_id);
    let reaction = reaction_at((&guild, &channel), &second.message_id, "\u{1F44D}");
    ada.api.post_nothing(&reaction).await.expect(200);
    let mut ears = ada.listen_in(&guild, &channel).await;
    let mut elsewhere = ada.listen_in(&guild, &other).await;
    ears.drain().await;
    elsewhere.drain().await;

    ada.api.delete(&at).await.expect(204);
    let mut told = ears.expect("message_delete").await.data;
    assert!(told["deleted_at_unix"].take().as_i64() >= Some(second.created_at_unix));
    assert_eq!(
        told,
        json!({
            "guild_id": guild.guild_id, "channel_id": channel.channel_id, "message_id": second.message_id,
            "deleted_at_unix": null, "actor_user_id": ada.user_id,
        })
    );
    assert_eq!(
        ada.history(&guild, &channel).await,
        [first.clone(), third.clone()]
    );
    // A cursor that points to it goes on pointing to its place.
    let before = format!("?before={}", second.message_id);
    let page = ada.history_page(&guild, &channel, &before).await;
    assert_eq!(page.messages, [first]);

    ada.api.delete(&at).await.expect_error(404, "not_found");
    let edit = ada.api.patch(&at, json!({ "content": "back" })).await;
    edit.expect_error(404, "not_found");
    ada.api
        .post_nothing(&reaction)
        .await
        .expect_error(404, "not_found");
    ada.api
        .delete(&reaction)
        .await
        .expect_error(404, "not_found");
    ears.expect_silence().await;
    elsewhere.expect_silence().await;
});

on_both_databases!(
    a_message_is_changed_by_its_author_and_by_moderators_only,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        for person in [&bob, &eve] {
            person.join(&guild).await;
        }
        let said = bob.say(&guild, &channel, "hello").await;
        let at = message_at(&guild, &channel, &said.message_id);
        let edit = json!({ "content": "changed" });
        eve.api
            .patch(&at, &edit)
            .await
            .expect_error(403, "forbidden");
        eve.api.delete(&at).await.expect_error(403, "forbidden");
        assert_eq!(
            eve.history(&guild, &channel).await,
            std::slice::from_ref(&said)
        );

        let edited: Message = ada.api.patch(&at, &edit).await.read();
        assert_eq!(
            (edited.author_id, edited.content.as_str()),
            (said.author_id, "changed")
        );
        ada.api.delete(&at).await.expect(204);
        let own = bob.say(&guild, &channel, "mine").await;
        bob.api
            .delete(&message_at(&guild, &channel, &own.message_id))
            .await
            .expect(204);
        assert!(bob.history(&guild, &channel).await.is_empty());

        // What a moderator does to others is on record, newest first; what one does to one's own is not.
        let audit = format!("/guilds/{}/audit?action_prefix=message.", guild.guild_id);
        let mut audit = ada.api.get(&audit).await.expect(200).body["events"].take();
        for entry in audit.as_array_mut().expect("entries") {
            for key in ["audit_id", "created_at_unix"] {
                assert!(!entry[key].take().is_null(), "{entry}");
            }
        }
        let entry = |action: &str| {
            json!({
                "audit_id": null, "created_at_unix": null, "action": action,
                "actor_user_id": ada.user_id, "target_user_id": bob.user_id,
                "details": { "channel_id": channel.channel_id, "message_id": edited.message_id },
            })
        };
        assert_eq!(
            audit,
            json!([entry("message.delete"), entry("message.update")])
        );
    }
);

on_both_databases!(who_was_kicked_changes_nothing_any_more, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let guild = ada.found_guild("engines", Visibility::Public).await;
    let channel = ada.open_channel(&guild, "general").await;
    bob.join(&guild).await;
    let said = bob.say(&guild, &channel, "hello").await.message_id;
    let at = message_at(&guild, &channel, &said);
    let reaction = reaction_at((&guild, &channel), &said, "a");
    bob.api.post_nothing(&reaction).await.expect(200);
    let before = ada.history(&guild, &channel).await;

    let kick = format!("/guilds/{}/members/{}/kick", guild.guild_id, bob.user_id);
    ada.api.post_nothing(&kick).await.expect(200);
    for answer in [
        bob.api.patch(&at, json!({ "content": "changed" })).await,
        bob.api.delete(&at).await,
        bob.api.post_nothing(&reaction).await,
        bob.api.delete(&reaction).await,
    ] {
        answer.expect_error(404, "not_found");
    }
    assert_eq!(ada.history(&guild, &channel).await, before);
});

on_both_databases!(
    a_message_is_found_in_its_own_channel_only,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Private).await;
        let channel = ada.open_channel(&guild, "general").await;
        let sibling = ada.open_channel(&guild, "sibling").await;
        let elsewhere = ada.found_guild("elsewhere", Visibility::Private).await;
        let distant = ada.open_channel(&elsewhere, "general").await;
        let said = ada.say(&guild, &channel, "hello").await;
        let wrong = [
            (&guild, &sibling, said.message_id.as_str()),
            (&elsewhere, &distant, &said.message_id),
            (&elsewhere, &channel, &said.message_id),
            (&guild, &distant, &said.message_id),
            (&guild, &channel, NOTHING),
            // A channel's id is no message's.
            (&guild, &channel, &channel.channel_id),
        ];
        for (guild, channel, message) in wrong {
            let at = message_at(guild, channel, message);
            let reaction = reaction_at((guild, channel), message, "a");
            let edit = ada.api.patch(&at, json!({ "content": "changed" })).await;
            for answer in [
                edit,
                ada.api.delete(&at).await,
                ada.api.post_nothing(&reaction).await,
                ada.api.delete(&reaction).await,
            ] {
                answer.expect_error(404, "not_found");
            }
        }
        let at = message_at(&guild, &channel, "not-an-id");
        ada.api
            .delete(&at)
            .await
            .expect_error(400, "invalid_request");
        assert_eq!(ada.history(&guild, &channel).await, [said]);
    }
);

on_both_databases!(any_text_comes_back_as_it_was_written, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Private).await;
    let channel = ada.open_channel(&guild, "general").await;
    let texts = [
        "\u{5e9}\u{5dc}\u{5d5}\u{5dd} \u{202e}left\u{202c} \u{627}\u{644}".to_owned(),
        "e\u{301} is not \u{e9}, Z\u{351}\u{36b}\u{343} either".to_owned(),
        "\u{1F468}\u{200d}\u{1F469}\u{200d}\u{1F467} \u{2764}\u{fe0f} \u{1F3F4}\u{E0067}\u{E007F}"
            .to_owned(),
        " \t leading, trailing, \r\n and between \u{2028} lines ".to_owned(),
        "\u{1}\u{7f}\u{85}\u{feff}\u{fffe}\u{10ffff}".to_owned(),
        "\\\"'<script>&amp;</script> %00 ${x} {{y}} ';--".to_owned(),
        "\u{1F600}".repeat(1_000),
        "\u{301}".repeat(2_000),
    ];
    let said = ada.say(&guild, &channel, "first").await;
    let at = message_at(&guild, &channel, &said.message_id);
    for text in &texts {
        let said = ada.say(&guild, &channel, text).await;
        assert_eq!(said.content, *text);
        let edited: Message = ada.api.patch(&at, json!({ "content": text })).await.read();
        assert_eq!(edited.content, *text);
        assert_eq!(edited.markdown_tokens, said.markdown_tokens);
        let newest = ada.history_page(&guild, &channel, "?limit=1").await;
        assert_eq!(newest.messages, [said]);
    }
});

// What takes most room and most work for 2,000 characters.
on_both_databases!(
    hostile_markdown_is_shown_within_its_bounds,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Private).await;
        let channel = ada.open_channel(&guild, "general").await;
        let mut ears = ada.listen_in(&guild, &channel).await;
        let said = ada.say(&guild, &channel, "first").await;
        let at = message_at(&guild, &channel, &said.message_id);
        let hostile = [
            "[".repeat(2_000),
            "*".repeat(2_000),
            "*a_ ".repeat(500),
            "![[]()".repeat(333),
            "-\n+\n".repeat(500),
            "> ".repeat(1_000),
            "`".repeat(1_999),
            "a\n".repeat(1_000),
            "# \u{1}\n".repeat(500),
            "<!--".repeat(500),
            "&#x41;".repeat(333),
            format!("[a]: http://{}\n{}", "b".repeat(900), "[a]".repeat(360)),
        ];
        for text in &hostile {
            let said = ada.say(&guild, &channel, text).await;
            assert!(said.markdown_tokens.len() <= 4_096);
            ears.next_that("message_create", |data| data["content"] == **text)
                .await;
            let edited: Message = ada.api.patch(&at, json!({ "content": text })).await.read();
            assert_eq!(edited.markdown_tokens, said.markdown_tokens);
            let told = ears.next_named("message_update").await.data;
            assert_eq!(
                told["updated_fields"]["markdown_tokens"],
                json!(said.markdown_tokens)
            );
        }
        let contents: Vec<String> = ada
            .history(&guild, &channel)
            .await
            .into_iter()
            .skip(1)
            .map(|message| message.content)
            .collect();
        assert_eq!(contents, hostile, "page by page, nothing is lost");
    }
);

on_both_databases!(what_is_deleted_is_never_changed_after, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Private).await;
    let channel = ada.open_channel(&guild, "general").await;
    let mut ears = ada.listen_in(&guild, &channel).await;
    for round in 0..10 {
        let said = ada.say(&guild, &channel, "hello").await.message_id;
        let at = message_at(&guild, &channel, &said);
        let reaction = reaction_at((&guild, &channel), &said, "a");
        let mut asked = tokio::task::JoinSet::new();
        for n in 0..8 {
            let (api, at, reaction) = (ada.api.clone(), at.clone(), reaction.clone());
            asked.spawn(async move {
                let content = format!("{round}.{n}");
                let answer = match n {
                    3 => api.delete(&at).await,
                    5 => api.post_nothing(&reaction).await,
                    _ => api.patch(&at, json!({ "content": content })).await,
                };
                (n, content, answer.status)
            });
        }
        let answers = asked.join_all().await;
        // All that was acknowledged is told before the end of the message, and nothing after it.
        let mut edits = BTreeSet::new();
        let mut reacted = false;
        loop {
            let event = ears.next_event().await;
            match event.name.as_str() {
                "message_update" => {
                    let content = event.data["updated_fields"]["content"].as_str();
                    edits.insert(content.unwrap_or("").to_owned());
                }
                "message_reaction" => reacted = true,
                "message_delete" => break,
                _ => {}
            }
        }
        for (n, content, status) in answers {
            let told = match n {
                3 => true,
                5 => reacted,
                _ => edits.contains(&content),
            };
            let acknowledged = if n == 3 { 204 } else { 200 };
            let expected = if told { acknowledged } else { 404 };
            assert_eq!(status, expected, "request {n} of round {round}");
        }
    }
    ears.expect_silence().await;
    assert!(ada.history(&guild, &channel).await.is_empty());
});

/// A channel as somebody knows it: each message with its content, its tokens, and who set which emoji.
#[derive(Debug, Default, PartialEq)]
struct Known(BTreeMap<String, Shown>);

#[derive(Debug, Default, PartialEq)]
struct Shown {
    content: Value,
    tokens: Value,
    reactions: BTreeMap<String, BTreeSet<String>>,
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

impl Known {
    /// From what was heard.
    fn hear(&mut self, Event { name, data }: &Event) {
        let id = text(&data["message_id"]);
        match name.as_str() {
            "message_create" => {
                let shown = Shown {
                    content: data["content"].clone(),
                    tokens: data["markdown_tokens"].clone(),
                    reactions: BTreeMap::new(),
                };
                assert!(self.0.insert(id, shown).is_none(), "created twice");
            }
            "message_update" => {
                let message = self.0.get_mut(&id).expect("created before");
                message.content = data["updated_fields"]["content"].clone();
                message.tokens = data["updated_fields"]["markdown_tokens"].clone();
            }
            "message_delete" => {
                self.0.remove(&id).expect("created before");
            }
            "message_reaction" => {
                let message = self.0.get_mut(&id).expect("created before");
                let emoji = text(&data["emoji"]);
                let users = message.reactions.entry(emoji.clone()).or_default();
                let user = text(&data["actor_user_id"]);
                let changed = match data["operation"].as_str() {
                    Some("add") => users.insert(user),
                    _ => users.remove(&user),
                };
                assert!(changed, "no change is told twice: {data}");
                assert_eq!(data["count"], users.len(), "{data}");
                if users.is_empty() {
                    message.reactions.remove(&emoji);
                }
            }
            _ => {}
        }
    }

    /// From what is stored, as one user sees it.
    fn read(history: &[Message], viewer: &str) -> Self {
        let messages = history.iter().map(|message| {
            let reactions = message.reactions.iter().map(|reaction| {
                let users = reaction["reactor_user_ids"].as_array().expect("users");
                let users: BTreeSet<String> = users.iter().map(text).collect();
                assert_eq!(reaction["count"], users.len());
                assert_eq!(reaction["reacted_by_me"], users.contains(viewer));
                (text(&reaction["emoji"]), users)
            });
            let shown = Shown {
                content: json!(message.content),
                tokens: json!(message.markdown_tokens),
                reactions: reactions.collect(),
            };
            (message.message_id.clone(), shown)
        });
        Self(messages.collect())
    }
}

const THE_END: &str = "the end";

/// Listens until somebody says that it is the end.
async fn listen_to_the_end(mut ears: GatewayClient) -> Known {
    let mut known = Known::default();
    loop {
        let event = ears.next_event().await;
        let is_message = event.name.starts_with("message_");
        if is_message {
            known.hear(&event);
        }
        if is_message && event.data["content"] == THE_END {
            return known;
        }
    }
}

/// Does forty things, by a dice that falls the same way every time.
async fn make_a_mess(person: Person, place: (Guild, Channel), said: Arc<Mutex<Vec<String>>>) {
    let (guild, channel) = (&place.0, &place.1);
    let mut dice: u64 = person.name.bytes().map(u64::from).sum();
    let mut throw = |sides: usize| {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).unwrap_or(0) % sides
    };
    let mut own = Vec::new();
    for n in 0..40 {
        let act = if own.is_empty() { 0 } else { throw(10) };
        if act <= 2 {
            let message = person
                .say(guild, channel, &format!("*{n}* of {}", person.name))
                .await;
            said.lock()
                .expect("unpoisoned")
                .push(message.message_id.clone());
            own.push(message.message_id);
            continue;
        }
        let mine = own[throw(own.len())].clone();
        let any = {
            let said = said.lock().expect("unpoisoned");
            said[throw(said.len())].clone()
        };
        let emoji = ["\u{1F44D}", "\u{2764}\u{fe0f}", "a/b"][throw(3)];
        let reaction = reaction_at((guild, channel), &any, emoji);
        let request = match act {
            3 | 4 => {
                let content = json!({ "content": format!("`{n}` of {}", person.name) });
                let at = message_at(guild, channel, &mine);
                person.api.request(Method::PATCH, &at).json(&content)
            }
            5 => person
                .api
                .request(Method::DELETE, &message_at(guild, channel, &mine)),
            6 | 7 => person.api.request(Method::DELETE, &reaction),
            _ => person.api.request(Method::POST, &reaction),
        };
        // 404 where it was deleted before.
        let status = person.api.send(request).await.status;
        assert!([200, 204, 404].contains(&status), "{status}");
    }
}

on_both_databases!(
    who_replays_the_events_ends_with_the_history,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let ears = ada.listen_in(&guild, &channel).await;
        let heard = tokio::spawn(listen_to_the_end(ears));
        let said = Arc::new(Mutex::new(Vec::new()));
        let mut mess = tokio::task::JoinSet::new();
        let mut people = Vec::new();
        for name in ["bob", "cleo", "dan", "eve"] {
            let person = Person::register(&server, name).await;
            person.join(&guild).await;
            people.push(Person::log_in(&server, name).await);
            let place = (guild.clone(), channel.clone());
            mess.spawn(make_a_mess(person, place, said.clone()));
        }
        mess.join_all().await;
        ada.say(&guild, &channel, THE_END).await;
        let heard = heard.await.expect("listens");
        for person in &people {
            let history = person.history(&guild, &channel).await;
            assert_eq!(Known::read(&history, &person.user_id), heard);
        }
    }
);

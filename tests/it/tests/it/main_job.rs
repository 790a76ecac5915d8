//! Two people talk: the main job of the server, from an empty database on.

use std::time::{Duration, Instant};

use filament_test_support::{
    Event, Message, Person, Server, Visibility, on_both_databases,
    people::{ChannelKind, messages_of},
};
use serde_json::{Value, json};

/// What "at once" may take on a machine that does much else.
const AT_ONCE: Duration = Duration::from_secs(1);

on_both_databases!(
    two_people_meet_and_see_what_each_says_at_once,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let mut adas = ada.listen().await;
        let mut bobs = bob.listen().await;

        let guild = ada.found_guild("engines", Visibility::Public).await;
        assert_eq!(
            (guild.name.as_str(), guild.visibility),
            ("engines", Visibility::Public)
        );
        bob.join(&guild).await;
        let joined = adas
            .next_that("workspace_member_add", |data| {
                data["user_id"] == *bob.user_id
            })
            .await;
        assert_eq!(joined.data["guild_id"], *guild.guild_id);
        assert_eq!(joined.data["role"], "member");
        assert!(joined.data["joined_at_unix"].as_i64() > Some(1_700_000_000));
        assert_eq!(ada.guilds().await, std::slice::from_ref(&guild));
        assert_eq!(bob.guilds().await, std::slice::from_ref(&guild));

        // Bob's socket is older than his membership and hears of the guild all the same.
        let channel = ada.open_channel(&guild, "general").await;
        let opened = bobs.next_named("channel_create").await;
        assert_eq!(opened.data["guild_id"], *guild.guild_id);
        assert_eq!(opened.data["channel"], json!(channel));
        assert_eq!(bob.channels(&guild).await, std::slice::from_ref(&channel));

        adas.subscribe(&guild, &channel).await;
        let present = bobs.subscribe(&guild, &channel).await;
        assert!(
            present.contains(&ada.user_id) && present.contains(&bob.user_id),
            "{present:?}"
        );

        // Over HTTP …
        let asked = Instant::now();
        let hello = ada.say(&guild, &channel, "hello *Bob*").await;
        assert_eq!(hello.author_id, ada.user_id);
        assert_eq!(message(&bobs.next_named("message_create").await), hello);
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        assert_eq!(message(&adas.next_named("message_create").await), hello);

        // … and over the gateway.
        let asked = Instant::now();
        bobs.say(&guild, &channel, "hello Ada").await;
        let answer = message(&adas.next_named("message_create").await);
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        assert_eq!(
            (answer.author_id.as_str(), answer.content.as_str()),
            (bob.user_id.as_str(), "hello Ada")
        );
        assert_eq!(message(&bobs.next_named("message_create").await), answer);

        assert!(
            hello.message_id < answer.message_id,
            "ids are in the order of the messages"
        );
        assert_eq!(
            ada.history(&guild, &channel).await,
            [hello.clone(), answer.clone()]
        );
        assert_eq!(bob.history(&guild, &channel).await, [hello, answer]);
    }
);

on_both_databases!(a_message_has_the_shape_that_clients_know, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Private).await;
    let channel = ada.open_channel(&guild, "general").await;
    let said = ada
        .api
        .post(
            &messages_of(&guild, &channel),
            json!({ "content": "**hi**\nthere" }),
        )
        .await;
    let said = said.expect(200).body;
    let mut keys: Vec<&str> = said
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "attachments",
            "author_id",
            "channel_id",
            "content",
            "created_at_unix",
            "guild_id",
            "markdown_tokens",
            "message_id",
            "reactions"
        ]
    );
    assert_eq!(said["content"], "**hi**\nthere");
    assert_eq!(
        said["markdown_tokens"],
        json!([
            { "type": "paragraph_start" },
            { "type": "strong_start" },
            { "type": "text", "text": "hi" },
            { "type": "strong_end" },
            { "type": "soft_break" },
            { "type": "text", "text": "there" },
            { "type": "paragraph_end" },
        ])
    );
    for id in ["message_id", "guild_id", "channel_id", "author_id"] {
        assert!(is_ulid(&said[id]), "{id} is {}", said[id]);
    }
});

on_both_databases!(
    a_message_goes_to_those_who_look_at_its_channel,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let general = ada.open_channel(&guild, "general").await;
        let random = ada.open_channel(&guild, "random").await;
        bob.join(&guild).await;
        let mut general_ears = bob.listen_in(&guild, &general).await;
        let mut random_ears = bob.listen_in(&guild, &random).await;
        let mut no_ears = bob.listen().await;
        general_ears.drain().await;

        let said = ada.say(&guild, &general, "hello").await;
        assert_eq!(message(&general_ears.expect("message_create").await), said);
        random_ears.expect_silence().await;
        no_ears.expect_silence().await;

        // Asking again for what one has is harmless: the next message comes once.
        general_ears.subscribe(&guild, &general).await;
        ada.say(&guild, &general, "again").await;
        general_ears.expect("message_create").await;
        general_ears.expect_silence().await;
    }
);

on_both_databases!(people_come_and_go, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let guild = ada.found_guild("engines", Visibility::Public).await;
    let channel = ada.open_channel(&guild, "general").await;
    bob.join(&guild).await;
    let mut adas = ada.listen().await;
    assert_eq!(
        adas.subscribe(&guild, &channel).await,
        std::slice::from_ref(&ada.user_id)
    );
    adas.drain().await;

    let first = bob.listen().await;
    let came = adas.expect("presence_update").await;
    let presence = |status: &str| json!({ "guild_id": guild.guild_id, "user_id": bob.user_id, "status": status });
    assert_eq!(came.data, presence("online"));

    // A second socket is no news, and neither is a page that is loaded anew.
    let second = bob.listen().await;
    first.close().await;
    second.close().await;
    let third = bob.listen().await;
    adas.expect_silence().await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    adas.expect_silence().await;

    third.close().await;
    let went = adas.expect("presence_update").await;
    assert_eq!(went.data, presence("offline"));
    assert_eq!(
        adas.subscribe(&guild, &channel).await,
        std::slice::from_ref(&ada.user_id)
    );
});

on_both_databases!(a_history_is_read_page_by_page, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Private).await;
    let channel = ada.open_channel(&guild, "general").await;
    let mut said = Vec::new();
    for number in 0..45 {
        said.push(ada.say(&guild, &channel, &format!("number {number}")).await);
    }
    let newest_first: Vec<Message> = said.iter().rev().cloned().collect();

    let page = ada.history_page(&guild, &channel, "").await;
    assert_eq!(page.messages, newest_first[..20]);
    let before = page.next_before.expect("there is more");
    let page = ada
        .history_page(&guild, &channel, &format!("?limit=25&before={before}"))
        .await;
    assert_eq!(page.messages, newest_first[20..]);
    let last = &said[0].message_id;
    let page = ada
        .history_page(&guild, &channel, &format!("?before={last}"))
        .await;
    assert!(
        page.messages.is_empty() && page.next_before.is_none(),
        "before is exclusive: {page:?}"
    );
    assert_eq!(ada.history(&guild, &channel).await, said);
});

// 100 messages of 2,000 characters are far more than an answer may hold.
on_both_databases!(
    a_page_stays_within_its_size_and_loses_nothing,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Private).await;
        let channel = ada.open_channel(&guild, "general").await;
        let mut said = Vec::new();
        for number in 0..40 {
            let text = format!("{number:04}").repeat(500);
            said.push(ada.say(&guild, &channel, &text).await);
        }
        let page = ada.history_page(&guild, &channel, "?limit=100").await;
        assert!(
            (1..40).contains(&page.messages.len()),
            "{} messages",
            page.messages.len()
        );
        assert!(page.next_before.is_some());
        assert_eq!(ada.history(&guild, &channel).await, said);
    }
);

on_both_databases!(standing_and_rights_are_told, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let guild = ada.found_guild("engines", Visibility::Public).await;
    let channel = ada.open_channel(&guild, "general").await;
    let voice = ada
        .open_channel_of(ChannelKind::Voice, &guild, "call")
        .await;
    assert_eq!(voice.kind, ChannelKind::Voice);
    bob.join(&guild).await;

    let rights = format!(
        "/guilds/{}/channels/{}/permissions/self",
        guild.guild_id, channel.channel_id
    );
    let adas = ada.api.get(&rights).await.expect(200).body;
    assert_eq!(adas["role"], "owner");
    assert!(
        has(&adas["permissions"], "manage_roles") && has(&adas["permissions"], "create_message"),
        "{adas}"
    );
    let bobs = bob.api.get(&rights).await.expect(200).body;
    assert_eq!(bobs["role"], "member");
    assert!(
        !has(&bobs["permissions"], "manage_roles") && has(&bobs["permissions"], "create_message"),
        "{bobs}"
    );

    let members = bob
        .api
        .get(&format!("/guilds/{}/members", guild.guild_id))
        .await
        .expect(200)
        .body;
    let mut users: Vec<&str> = members["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| {
            assert!(member["role_ids"].is_array(), "{member}");
            member["user_id"].as_str().expect("a user_id")
        })
        .collect();
    users.sort_unstable();
    let mut both = [ada.user_id.as_str(), bob.user_id.as_str()];
    both.sort_unstable();
    assert_eq!(users, both);
    assert_eq!(members["next_cursor"], Value::Null);

    // A member opens no channels.
    let channels = format!("/guilds/{}/channels", guild.guild_id);
    bob.api
        .post(&channels, json!({ "name": "mine" }))
        .await
        .expect_error(403, "forbidden");
    // Joining twice is told.
    let again = bob
        .api
        .post_nothing(&format!("/guilds/{}/join", guild.guild_id))
        .await
        .expect(200);
    assert_eq!(again.body["outcome"], "already_member");
});

/// A message from an event, which may also say who caused it.
fn message(event: &Event) -> Message {
    event.read()
}

fn is_ulid(value: &Value) -> bool {
    let crockford = |b: u8| b.is_ascii_digit() || (b.is_ascii_uppercase() && !b"ILOU".contains(&b));
    value
        .as_str()
        .is_some_and(|id| id.len() == 26 && id.bytes().all(crockford))
}

fn has(permissions: &Value, permission: &str) -> bool {
    permissions
        .as_array()
        .is_some_and(|all| all.iter().any(|one| one == permission))
}

on_both_databases!(
    who_joins_while_online_is_announced_first_and_then_seen_online,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let mut adas = ada.listen().await;
        let _bobs = bob.listen().await;
        for n in 0..10 {
            let guild = ada
                .found_guild(&format!("guild {n}"), Visibility::Public)
                .await;
            let channel = ada.open_channel(&guild, "general").await;
            // Others talk meanwhile, so that commits are busy.
            let (_, said) = tokio::join!(bob.join(&guild), ada.say(&guild, &channel, "hello"));
            assert_eq!(said.content, "hello");
            let about_bob = |data: &Value| {
                data["user_id"] == *bob.user_id && data["guild_id"] == *guild.guild_id
            };
            let mut order = Vec::new();
            while order.len() < 2 {
                let event = adas.next_event().await;
                if about_bob(&event.data) {
                    order.push(event.name.clone());
                }
            }
            assert_eq!(order, ["workspace_member_add", "presence_update"]);
        }
    }
);

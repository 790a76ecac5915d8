//! Keeping order: kicks, bans of users and of addresses, and the log of who did what.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use filament_test_support::{
    Answer, Backend, Channel, GatewayClient, Guild, Person, Server, Visibility, gateway,
    http::Method,
    on_both_databases,
    people::{at, messages_of},
};
use serde_json::{Value, json};

/// A server that believes this machine when it says for whom it speaks.
async fn behind_a_proxy(backend: Backend) -> Server {
    Server::builder(backend)
        .env("FILAMENT_TRUSTED_PROXY_CIDRS", "127.0.0.0/8")
        .start()
        .await
}

async fn say_from(person: &Person, address: &str, guild: &Guild, channel: &Channel) -> Answer {
    let path = messages_of(guild, channel);
    let request = person.api.request(Method::POST, &path);
    let request = request.header("x-forwarded-for", address);
    person
        .api
        .send(request.json(&json!({ "content": "hello" })))
        .await
}

async fn listen_from(person: &Person, address: &str) -> GatewayClient {
    let mut request = gateway::request(&person.api.ws_url());
    let bearer = format!("Bearer {}", person.session.access_token);
    let headers = request.headers_mut();
    headers.insert("authorization", bearer.parse().expect("plain text"));
    headers.insert("x-forwarded-for", address.parse().expect("plain text"));
    GatewayClient::open(request).await.expect("a socket")
}

on_both_databases!(
    who_is_kicked_hears_so_and_then_nothing_and_may_come_back,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let mia = Person::register(&server, "mia").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        mia.join(&guild).await;
        ada.make(&guild, &mia, "moderator").await.expect(200);
        let mut bobs = bob.listen_in(&guild, &channel).await;
        bobs.drain().await;

        mia.kick(&guild, &bob).await.expect(200);
        let told = bobs.expect("workspace_member_remove").await.data;
        assert_eq!(told["user_id"], *bob.user_id);
        assert_eq!(told["reason"], "kick");
        assert_eq!(told["actor_user_id"], *mia.user_id);
        ada.say(&guild, &channel, "he is gone").await;
        ada.open_channel(&guild, "another").await;
        bobs.expect_silence().await;
        bob.api
            .get(&messages_of(&guild, &channel))
            .await
            .expect_error(404, "not_found");
        bobs.say(&guild, &channel, "am I?").await;
        assert_eq!(bobs.expect("error").await.data["code"], "not_found");
        mia.kick(&guild, &bob).await.expect_error(404, "not_found");

        bob.join(&guild).await;
        bobs.next_named("workspace_member_add").await;
        // Nobody kicks those who stand as high or higher.
        bob.kick(&guild, &mia).await.expect_error(403, "forbidden");
        mia.kick(&guild, &ada).await.expect_error(403, "forbidden");
        mia.kick(&guild, &mia).await.expect_error(403, "forbidden");
    }
);

on_both_databases!(
    who_is_banned_stays_out_until_the_ban_is_lifted_or_ends,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        bob.join(&guild).await;
        let mut bobs = bob.listen().await;

        ada.ban(&guild, &bob).await.expect(200);
        let told = bobs.expect("workspace_member_ban").await.data;
        assert_eq!(told["user_id"], *bob.user_id);
        assert!(told["banned_at_unix"].is_i64());
        let told = bobs.expect("workspace_member_remove").await.data;
        assert_eq!(told["reason"], "ban");
        bobs.expect_silence().await;
        let join = at(&guild, "/join");
        bob.api
            .post_nothing(&join)
            .await
            .expect_error(403, "directory_join_user_banned");
        let add = at(&guild, &format!("/members/{}", bob.user_id));
        ada.api
            .post_nothing(&add)
            .await
            .expect_error(403, "forbidden");

        // Somebody who never was a member can be banned too, with a reason and an end.
        let ban = at(&guild, &format!("/members/{}/ban", eve.user_id));
        let terms = json!({ "reason": "spam", "expires_in_secs": 600 });
        ada.api.post(&ban, terms).await.expect(200);
        let bans = ada.api.get(&at(&guild, "/bans")).await.expect(200).body;
        let listed: BTreeSet<&str> = bans["bans"]
            .as_array()
            .expect("bans")
            .iter()
            .filter_map(|ban| ban["user_id"].as_str())
            .collect();
        assert_eq!(listed, BTreeSet::from([&*bob.user_id, &*eve.user_id]));
        eve.api
            .post_nothing(&join)
            .await
            .expect_error(403, "directory_join_user_banned");
        let terms = json!({ "expires_in_secs": 1 });
        ada.api.post(&ban, terms).await.expect(200);
        while eve.api.post_nothing(&join).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let bans = ada.api.get(&at(&guild, "/bans")).await.expect(200).body;
        assert_eq!(bans["bans"].as_array().map(Vec::len), Some(1));
        assert_eq!(bans["bans"][0]["banned_by_user_id"], *ada.user_id);
        assert_eq!(bans["bans"][0]["expires_at_unix"], Value::Null);

        let lift = at(&guild, &format!("/bans/{}", bob.user_id));
        ada.api.delete(&lift).await.expect(200);
        ada.api.delete(&lift).await.expect_error(404, "not_found");
        bob.join(&guild).await;

        for terms in [
            json!({ "expires_in_secs": 0 }),
            json!({ "expires_in_secs": 15_552_001 }),
            json!({ "reason": "x".repeat(241) }),
            json!({ "because": "x" }),
        ] {
            ada.api
                .post(&ban, terms)
                .await
                .expect_error(400, "invalid_request");
        }
    }
);

on_both_databases!(
    a_banned_address_neither_joins_nor_writes_and_is_never_shown,
    async |backend| {
        let server = behind_a_proxy(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        let mia = Person::register(&server, "mia").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        eve.try_join_from("198.51.100.1", &guild).await.expect(200);
        say_from(&eve, "2001:db8:1:2::3", &guild, &channel)
            .await
            .expect(200);
        mia.try_join_from("192.0.2.9", &guild).await.expect(200);
        let mut adas = ada.listen().await;
        let mut mias = mia.listen().await;

        let bans = at(&guild, "/ip-bans/by-user");
        let target = json!({ "target_user_id": eve.user_id, "reason": "spam" });
        let made = ada.api.post(&bans, &target).await.expect(200).body;
        assert_eq!(made["created_count"], 2, "{made}");
        assert_eq!(made["ban_ids"].as_array().map(Vec::len), Some(2));
        let told = adas.next_named("workspace_ip_ban_sync").await.data;
        assert_eq!(
            told["summary"],
            json!({ "action": "upsert", "changed_count": 2 })
        );
        assert!(told["updated_at_unix"].is_i64());
        let again = ada.api.post(&bans, &target).await.expect(200).body;
        assert_eq!(again["created_count"], 0);
        assert_eq!(again["ban_ids"], made["ban_ids"]);

        for address in ["198.51.100.1", "2001:db8:1:2:ffff::1"] {
            bob.try_join_from(address, &guild)
                .await
                .expect_error(403, "directory_join_ip_banned");
            say_from(&eve, address, &guild, &channel)
                .await
                .expect_error(403, "forbidden");
            // Who keeps the list is not shut out by it.
            say_from(&ada, address, &guild, &channel).await.expect(200);
        }
        let mut socket = listen_from(&eve, "198.51.100.1").await;
        socket.say(&guild, &channel, "by the other door").await;
        assert_eq!(socket.next_named("error").await.data["code"], "forbidden");
        bob.try_join_from("198.51.100.2", &guild).await.expect(200);
        say_from(&eve, "198.51.100.2", &guild, &channel)
            .await
            .expect(200);

        let listed = ada.api.get(&at(&guild, "/ip-bans")).await.expect(200);
        assert_eq!(listed.body["bans"].as_array().map(Vec::len), Some(2));
        let audit = ada
            .api
            .get(&at(&guild, "/audit?limit=100"))
            .await
            .expect(200);
        for text in [&listed.text, &audit.text] {
            for address in ["198.51", "2001:db8", "192.0.2"] {
                assert!(!text.contains(address), "{text}");
            }
        }
        let ban = &listed.body["bans"][0];
        assert_eq!(ban["source_user_id"], *eve.user_id);
        assert_eq!(ban["reason"], "spam");
        for key in ban.as_object().expect("an object").keys() {
            assert!(
                !key.contains("ip_") && !key.contains("_ip") && !key.contains("cidr"),
                "{key}"
            );
        }
        let refused = ada
            .api
            .get(&at(&guild, "/audit?action_prefix=member.join_"))
            .await;
        let refused = refused.expect(200).body;
        assert_eq!(refused["events"][0]["actor_user_id"], *bob.user_id);
        assert_eq!(refused["events"][0]["ip_ban_match"], true);

        for id in made["ban_ids"].as_array().expect("ids") {
            let id = id.as_str().expect("an id");
            let path = at(&guild, &format!("/ip-bans/{id}"));
            ada.api.delete(&path).await.expect(200);
            ada.api.delete(&path).await.expect_error(404, "not_found");
            let told = adas
                .next_that("workspace_ip_ban_sync", |data| {
                    data["summary"]["action"] == "remove"
                })
                .await;
            assert_eq!(told.data["summary"]["changed_count"], 1);
        }
        say_from(&eve, "198.51.100.1", &guild, &channel)
            .await
            .expect(200);
        // Who may not see bans hears nothing of them.
        let heard = mias.drain().await;
        assert!(
            heard
                .iter()
                .all(|event| event.name != "workspace_ip_ban_sync"),
            "{heard:?}"
        );
    }
);

on_both_databases!(
    bans_of_addresses_end_and_are_only_so_many,
    async |backend| {
        let server = Server::builder(backend)
            .env("FILAMENT_TRUSTED_PROXY_CIDRS", "127.0.0.0/8")
            .env("FILAMENT_GUILD_IP_BAN_MAX_ENTRIES", 2)
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        eve.try_join_from("198.51.100.1", &guild).await.expect(200);
        bob.try_join_from("198.51.100.2", &guild).await.expect(200);
        let bans = at(&guild, "/ip-bans/by-user");
        let target = |person: &Person, seconds: Option<u32>| {
            let mut target = json!({ "target_user_id": person.user_id });
            if let Some(seconds) = seconds {
                target["expires_in_secs"] = seconds.into();
            }
            target
        };
        let made = ada.api.post(&bans, target(&eve, Some(600))).await;
        let made = made.expect(200).body;
        say_from(&eve, "198.51.100.1", &guild, &channel)
            .await
            .expect_error(403, "forbidden");
        let id = made["ban_ids"][0].as_str().expect("an id");
        let path = at(&guild, &format!("/ip-bans/{id}"));
        ada.api.delete(&path).await.expect(200);
        ada.api.post(&bans, target(&eve, Some(1))).await.expect(200);
        ada.api.post(&bans, target(&bob, None)).await.expect(200);
        while say_from(&eve, "198.51.100.1", &guild, &channel)
            .await
            .status
            != 200
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // What has ended makes room.
        let listed = ada.api.get(&at(&guild, "/ip-bans")).await.expect(200).body;
        assert_eq!(listed["bans"].as_array().map(Vec::len), Some(1));
        for address in ["198.51.100.3", "198.51.100.4"] {
            say_from(&eve, address, &guild, &channel).await.expect(200);
        }
        ada.api
            .post(&bans, target(&eve, None))
            .await
            .expect_error(409, "quota_exceeded");
        let listed = ada.api.get(&at(&guild, "/ip-bans")).await.expect(200).body;
        assert_eq!(listed["bans"].as_array().map(Vec::len), Some(1));
    }
);

on_both_databases!(
    every_act_of_order_is_in_the_audit_log_and_is_read_page_by_page,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        let role = ada.make_role(&guild, "artist", &["create_message"]).await;
        ada.give_role(&guild, &role, &bob).await.expect(200);
        ada.take_role(&guild, &role, &bob).await.expect(200);
        ada.make(&guild, &bob, "moderator").await.expect(200);
        let whom = format!("member/{}", bob.user_id);
        ada.set_override(&guild, &channel, &whom, &[], &["publish_video"])
            .await
            .expect(200);
        ada.kick(&guild, &bob).await.expect(200);
        ada.ban(&guild, &bob).await.expect(200);
        let lift = at(&guild, &format!("/bans/{}", bob.user_id));
        ada.api.delete(&lift).await.expect(200);

        let read = async |query: &str| {
            let answer = ada.api.get(&at(&guild, &format!("/audit{query}"))).await;
            answer.expect(200).body
        };
        let mut events: Vec<Value> = Vec::new();
        let mut query = "?limit=3".to_owned();
        loop {
            let page = read(&query).await;
            events.extend(page["events"].as_array().expect("events").clone());
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("?limit=3&cursor={cursor}"),
                None => break,
            }
        }
        let actions: Vec<&str> = events.iter().filter_map(|e| e["action"].as_str()).collect();
        assert_eq!(
            actions,
            [
                "member.unban",
                "member.ban",
                "member.kick",
                "channel.override",
                "member.update",
                "role.unassign",
                "role.assign",
                "role.create",
                "channel.create",
            ]
        );
        for event in &events {
            assert_eq!(event["actor_user_id"], *ada.user_id);
            assert!(event["created_at_unix"].as_i64() > Some(1_700_000_000));
        }
        assert_eq!(events[2]["target_user_id"], *bob.user_id);
        assert_eq!(events[7]["details"]["name"], "artist");
        let page = read("?action_prefix=role.").await;
        assert_eq!(page["events"].as_array().map(Vec::len), Some(3));
        let page = read("?action_prefix=role_").await;
        assert_eq!(page["events"], json!([]), "an underscore is no wildcard");

        let path = at(&guild, "/audit");
        for query in ["?limit=0", "?limit=101", "?action_prefix=A", "?cursor=x"] {
            ada.api
                .get(&format!("{path}{query}"))
                .await
                .expect_error(400, "invalid_request");
        }
        bob.join(&guild).await;
        bob.api
            .get(&path)
            .await
            .expect_error(403, "audit_access_denied");
    }
);

on_both_databases!(
    what_a_kicked_member_said_stands_before_the_kick_or_nowhere,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Arc::new(Person::register(&server, "bob").await);
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let mut adas = ada.listen_in(&guild, &channel).await;
        for _ in 0..5 {
            bob.join(&guild).await;
            let kicked = Arc::new(AtomicBool::new(false));
            let talkers = (0..8).map(|_| {
                let (bob, guild, channel) = (bob.clone(), guild.clone(), channel.clone());
                let kicked = kicked.clone();
                tokio::spawn(async move {
                    let mut said = 0;
                    loop {
                        // Whoever asks after the kick was acknowledged must be refused.
                        let late = kicked.load(Ordering::SeqCst);
                        let path = messages_of(&guild, &channel);
                        let answer = bob.api.post(&path, json!({ "content": "hi" })).await;
                        assert!(!(late && answer.status == 200), "{answer:?}");
                        match answer.status {
                            200 => said += 1,
                            404 => return said,
                            _ => panic!("{answer:?}"),
                        }
                    }
                })
            });
            let talkers: Vec<_> = talkers.collect();
            adas.next_named("message_create").await;
            ada.kick(&guild, &bob).await.expect(200);
            kicked.store(true, Ordering::SeqCst);
            for talker in talkers {
                talker.await.expect("talks");
            }
            let seen = adas.next_named("workspace_member_remove").await;
            assert_eq!(seen.data["user_id"], *bob.user_id);
            let after = adas.drain().await;
            assert!(
                after.iter().all(|e| e.name != "message_create"),
                "{after:?}"
            );
        }
    }
);

on_both_databases!(
    nobody_is_banned_and_a_member_however_close_the_two_came,
    async |backend| {
        const PEOPLE: usize = 48;
        let server = Server::start(backend).await;
        let ada = Arc::new(Person::register(&server, "ada").await);
        let guild = Arc::new(ada.found_guild("engines", Visibility::Public).await);
        let mut people = Vec::new();
        for n in 0..PEOPLE {
            people.push(Person::register(&server, &format!("person{n}")).await);
        }
        let races = people.into_iter().map(|person| {
            let (ada, guild) = (ada.clone(), guild.clone());
            tokio::spawn(async move {
                let join = at(&guild, "/join");
                let (joined, banned) =
                    tokio::join!(person.api.post_nothing(&join), ada.ban(&guild, &person));
                assert!(matches!(joined.status, 200 | 403), "{joined:?}");
                banned.expect(200);
            })
        });
        for race in races.collect::<Vec<_>>() {
            race.await.expect("is run");
        }
        let members = ada.api.get(&at(&guild, "/members")).await.expect(200).body;
        assert_eq!(members["members"].as_array().map(Vec::len), Some(1));
        let bans = ada.api.get(&at(&guild, "/bans")).await.expect(200).body;
        assert_eq!(bans["bans"].as_array().map(Vec::len), Some(PEOPLE));
    }
);

on_both_databases!(
    from_a_banned_address_nobody_edits_or_reacts_and_both_show_from_where_one_acts,
    async |backend| {
        let server = behind_a_proxy(backend).await;
        let ada = Person::register(&server, "ada").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        eve.try_join_from("198.51.100.1", &guild).await.expect(200);
        let said = say_from(&eve, "198.51.100.1", &guild, &channel).await;
        let said = said.expect(200).body;
        let said = said["message_id"].as_str().expect("an id");
        let message = format!("{}/{said}", messages_of(&guild, &channel));
        let reaction = format!("{message}/reactions/x");
        let from = async |address: &str, method: Method, path: &str| {
            let request = eve.api.request(method.clone(), path);
            let mut request = request.header("x-forwarded-for", address);
            if method == Method::PATCH {
                request = request.json(&json!({ "content": "changed" }));
            }
            eve.api.send(request).await
        };
        // Each from another address: all of them are known then.
        let edited = from("198.51.100.2", Method::PATCH, &message).await;
        edited.expect(200);
        let reacted = from("198.51.100.3", Method::POST, &reaction).await;
        reacted.expect(200);
        let target = json!({ "target_user_id": eve.user_id });
        let bans = at(&guild, "/ip-bans/by-user");
        let made = ada.api.post(&bans, &target).await.expect(200).body;
        assert_eq!(made["created_count"], 3, "{made}");

        let address = "198.51.100.2";
        from(address, Method::PATCH, &message)
            .await
            .expect_error(403, "forbidden");
        from(address, Method::POST, &reaction)
            .await
            .expect_error(403, "forbidden");
        // What one has written one may take back from anywhere.
        from(address, Method::DELETE, &reaction).await.expect(200);
        from(address, Method::DELETE, &message).await.expect(204);
    }
);

on_both_databases!(
    a_ban_is_neither_shortened_nor_lifted_from_below,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let mia = Person::register(&server, "mia").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        mia.join(&guild).await;
        ada.make(&guild, &mia, "moderator").await.expect(200);
        let ban = at(&guild, &format!("/members/{}/ban", eve.user_id));
        let lift = at(&guild, &format!("/bans/{}", eve.user_id));
        let shortly = json!({ "expires_in_secs": 1 });

        ada.ban(&guild, &eve).await.expect(200);
        mia.api
            .post(&ban, &shortly)
            .await
            .expect_error(403, "forbidden");
        mia.api.delete(&lift).await.expect_error(403, "forbidden");
        let bans = ada.api.get(&at(&guild, "/bans")).await.expect(200).body;
        assert_eq!(bans["bans"][0]["banned_by_user_id"], *ada.user_id);
        assert_eq!(bans["bans"][0]["expires_at_unix"], Value::Null);

        // Her own she may, and the owner may everybody's.
        ada.api.delete(&lift).await.expect(200);
        mia.ban(&guild, &eve).await.expect(200);
        mia.ban(&guild, &eve).await.expect(200);
        mia.api.delete(&lift).await.expect(200);
        mia.ban(&guild, &eve).await.expect(200);
        ada.api.delete(&lift).await.expect(200);
    }
);

on_both_databases!(
    a_banned_user_who_keeps_trying_is_in_the_audit_log_once,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        ada.ban(&guild, &eve).await.expect(200);
        for _ in 0..5 {
            eve.api
                .post_nothing(&at(&guild, "/join"))
                .await
                .expect_error(403, "directory_join_user_banned");
        }
        let path = at(&guild, "/audit?action_prefix=member.join_refused");
        let refused = ada.api.get(&path).await.expect(200).body;
        assert_eq!(refused["events"].as_array().map(Vec::len), Some(1));
        assert_eq!(refused["events"][0]["ip_ban_match"], false);
    }
);

on_both_databases!(
    the_audit_log_tells_nobody_of_channels_that_they_do_not_see,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let mia = Person::register(&server, "mia").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let open = ada.open_channel(&guild, "open").await;
        let hidden = ada.open_channel(&guild, "hidden plans").await;
        let gone = ada.open_channel(&guild, "past plans").await;
        mia.join(&guild).await;
        ada.make(&guild, &mia, "moderator").await.expect(200);
        for channel in [&hidden, &gone] {
            let see = ["create_message"];
            let moderators = ada.role_named(&guild, "moderator").await;
            let whom = format!("role/{}", moderators.role_id);
            ada.set_override(&guild, channel, &whom, &[], &see)
                .await
                .expect(200);
        }
        let path = at(&guild, &format!("/channels/{}", hidden.channel_id));
        let change = json!({ "name": "more hidden plans" });
        ada.api.patch(&path, change).await.expect(200);
        let order =
            json!({ "channel_ids": [&hidden.channel_id, &gone.channel_id, &open.channel_id] });
        ada.api
            .post(&at(&guild, "/channels/reorder"), order)
            .await
            .expect(200);
        let path = at(&guild, &format!("/channels/{}", gone.channel_id));
        ada.api.delete(&path).await.expect(200);

        let path = at(&guild, "/audit?limit=100&action_prefix=channel.");
        let all = ada.api.get(&path).await.expect(200);
        let seen = mia.api.get(&path).await.expect(200);
        assert_eq!(
            all.body["events"].as_array().map(Vec::len),
            seen.body["events"].as_array().map(Vec::len),
            "what was done is told, but not where"
        );
        for secret in ["plans", &*hidden.channel_id, &*gone.channel_id] {
            assert!(all.text.contains(secret), "{secret} for the owner");
            assert!(!seen.text.contains(secret), "{secret} in {}", seen.text);
        }
        assert!(seen.text.contains(&open.channel_id), "{}", seen.text);
    }
);

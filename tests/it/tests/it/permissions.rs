//! Who may do what: roles, overrides and ranks as people meet them, and every route asked by everybody.

use filament_test_support::{
    Answer, Api, Channel, Guild, Person, Server, Visibility,
    http::Method,
    on_both_databases,
    people::{PASSWORD, Session, at, messages_of},
};
use serde_json::{Value, json};

/// The permissions of an answer to [`Person::rights`].
fn permissions(answer: &Answer) -> Vec<&str> {
    let list = answer.body["permissions"].as_array().expect("permissions");
    list.iter().filter_map(Value::as_str).collect()
}

on_both_databases!(
    roles_are_made_changed_given_and_deleted_and_everybody_hears,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        let mut bobs = bob.listen().await;

        let names = async || -> Vec<String> {
            let roles = bob.roles(&guild).await;
            roles.into_iter().map(|role| role.name).collect()
        };
        assert_eq!(
            names().await,
            ["workspace_owner", "moderator", "member", "@everyone"]
        );
        let new =
            json!({ "name": "artist", "permissions": ["delete_message"], "color_hex": "#00ffAA" });
        let artist = ada
            .api
            .post(&at(&guild, "/roles"), new)
            .await
            .expect(200)
            .body;
        assert_eq!(artist["position"], 1);
        assert_eq!(artist["is_system"], false);
        let told = bobs.expect("workspace_role_create").await.data;
        assert_eq!(told["role"], artist);
        let told = bobs.expect("workspace_role_reorder").await.data;
        assert_eq!(told["role_ids"].as_array().map(Vec::len), Some(3));
        assert_eq!(told["role_ids"][2], artist["role_id"]);
        assert_eq!(
            names().await,
            [
                "workspace_owner",
                "moderator",
                "member",
                "artist",
                "@everyone"
            ]
        );

        let artist = bob.role_named(&guild, "artist").await;
        ada.give_role(&guild, &artist, &bob).await.expect(200);
        let told = bobs.expect("workspace_role_assignment_add").await.data;
        assert_eq!(
            (&told["user_id"], &told["role_id"]),
            (&json!(bob.user_id), &json!(artist.role_id))
        );
        assert!(told["assigned_at_unix"].is_i64());
        let rights = bob.rights(&guild, &channel).await.expect(200);
        assert!(permissions(&rights).contains(&"delete_message"));

        let path = at(&guild, &format!("/roles/{}", artist.role_id));
        ada.give_role(&guild, &artist, &bob).await.expect(200);
        let change = json!({ "name": "artist", "permissions": ["delete_message"] });
        ada.api.patch(&path, change).await.expect(200);
        bobs.expect_silence().await;
        let change = json!({ "name": "painter", "permissions": [], "color_hex": null });
        let changed = ada.api.patch(&path, &change).await.expect(200).body;
        assert_eq!(
            (&changed["name"], &changed["color_hex"]),
            (&json!("painter"), &Value::Null)
        );
        let told = bobs.expect("workspace_role_update").await.data;
        assert_eq!(told["updated_fields"], change);
        let rights = bob.rights(&guild, &channel).await.expect(200);
        assert!(!permissions(&rights).contains(&"delete_message"), "at once");
        let told = ada.api.patch(&path, json!({ "name": "sculptor" })).await;
        told.expect(200);
        let told = bobs.expect("workspace_role_update").await.data;
        assert_eq!(told["updated_fields"], json!({ "name": "sculptor" }));

        let default = at(&guild, "/roles/default");
        ada.api
            .post(&default, json!({ "role_id": artist.role_id }))
            .await
            .expect(200);
        let eve = Person::register(&server, "eve").await;
        eve.join(&guild).await;
        bobs.next_named("workspace_member_add").await;
        let members = ada.api.get(&at(&guild, "/members")).await.expect(200).body;
        let members = members["members"].as_array().expect("members");
        let hers = members
            .iter()
            .find(|member| member["user_id"] == *eve.user_id);
        assert_eq!(hers.expect("eve")["role_ids"], json!([artist.role_id]));

        let order: Vec<String> = {
            let roles = bob.roles(&guild).await;
            let movable = roles.into_iter().filter(|role| !role.is_system);
            movable.rev().map(|role| role.role_id).collect()
        };
        let reorder = at(&guild, "/roles/reorder");
        ada.api
            .post(&reorder, json!({ "role_ids": order }))
            .await
            .expect(200);
        let told = bobs.expect("workspace_role_reorder").await.data;
        assert_eq!(told["role_ids"], json!(order));
        assert_eq!(
            names().await,
            [
                "workspace_owner",
                "sculptor",
                "member",
                "moderator",
                "@everyone"
            ]
        );
        ada.api
            .post(&reorder, json!({ "role_ids": order[1..] }))
            .await
            .expect_error(400, "invalid_request");

        ada.take_role(&guild, &artist, &bob).await.expect(200);
        bobs.expect("workspace_role_assignment_remove").await;
        ada.take_role(&guild, &artist, &bob).await.expect(200);
        ada.api.delete(&path).await.expect(200);
        let told = bobs.expect("workspace_role_delete").await.data;
        assert_eq!(told["role_id"], *artist.role_id);
        assert!(told["deleted_at_unix"].is_i64());
        let list = ada.api.get(&at(&guild, "/roles")).await.expect(200).body;
        assert_eq!(list["default_join_role_id"], Value::Null);
        ada.api
            .patch(&path, json!({ "name": "x" }))
            .await
            .expect_error(404, "not_found");
        bobs.expect_silence().await;
    }
);

on_both_databases!(
    a_guild_has_64_roles_and_they_keep_to_their_bounds,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Private).await;
        let roles = at(&guild, "/roles");
        for bad in [
            json!({ "name": "", "permissions": [] }),
            json!({ "name": "x".repeat(33), "permissions": [] }),
            json!({ "name": "x" }),
            json!({ "name": "x", "permissions": ["fly"] }),
            json!({ "name": "x", "permissions": [], "color_hex": "red" }),
            json!({ "name": "x", "permissions": [], "position": 0 }),
            json!({ "name": "x", "permissions": [], "position": 99 }),
        ] {
            ada.api
                .post(&roles, bad)
                .await
                .expect_error(400, "invalid_request");
        }
        for n in 4..64 {
            ada.make_role(&guild, &format!("{n:-<32}"), &["create_message"])
                .await;
        }
        ada.api
            .post(&roles, json!({ "name": "one more", "permissions": [] }))
            .await
            .expect_error(409, "quota_exceeded");
        let all = ada.roles(&guild).await;
        let positions: Vec<i64> = all.iter().map(|role| role.position).collect();
        assert_eq!(positions, (0..64).rev().collect::<Vec<_>>());
        for name in ["moderator", "member"] {
            let role = ada.role_named(&guild, name).await;
            let path = at(&guild, &format!("/roles/{}", role.role_id));
            ada.api.delete(&path).await.expect_error(403, "forbidden");
        }
        let default = at(&guild, "/roles/default");
        ada.api
            .post(&default, json!({}))
            .await
            .expect_error(400, "invalid_request");
        let everyone = at(&guild, &format!("/roles/{}", all[63].role_id));
        let owner = at(&guild, &format!("/roles/{}", all[0].role_id));
        for path in [&everyone, &owner] {
            ada.api.delete(path).await.expect_error(403, "forbidden");
            let rename = json!({ "name": "mine" });
            ada.api
                .patch(path, rename)
                .await
                .expect_error(403, "forbidden");
        }
        let muted = json!({ "permissions": [] });
        ada.api.patch(&everyone, &muted).await.expect(200);
        ada.api
            .patch(&owner, &muted)
            .await
            .expect_error(403, "forbidden");
    }
);

on_both_databases!(
    overrides_are_layered_and_what_is_not_seen_any_more_is_not_heard_any_more,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let open = ada.open_channel(&guild, "open").await;
        let channel = ada.open_channel(&guild, "secret").await;
        bob.join(&guild).await;
        let everyone = ada.role_named(&guild, "@everyone").await;
        let artist = ada.make_role(&guild, "artist", &[]).await;
        let everyone = format!("role/{}", everyone.role_id);
        let artists = format!("0/{}", artist.role_id);
        let bobself = format!("1/{}", bob.user_id);
        let see = ["create_message"];
        let mut bobs = bob.listen_in(&guild, &channel).await;
        bobs.drain().await;
        let sees = async || bob.channels(&guild).await.len() == 2;
        assert!(sees().await);

        // Everyone: from the moment of the answer on nothing of the channel reaches him.
        ada.set_override(&guild, &channel, &everyone, &[], &see)
            .await
            .expect(200);
        let told = bobs
            .expect("workspace_channel_permission_override_update")
            .await
            .data;
        assert_eq!(told["target_kind"], "role");
        assert_eq!(told["updated_fields"], json!({ "allow": [], "deny": see }));
        ada.say(&guild, &channel, "he does not hear this").await;
        bobs.expect_silence().await;
        assert!(!sees().await);
        bob.rights(&guild, &channel)
            .await
            .expect_error(404, "not_found");
        bob.api
            .get(&messages_of(&guild, &channel))
            .await
            .expect_error(404, "not_found");
        bobs.send(
            "subscribe",
            json!({ "guild_id": guild.guild_id, "channel_id": channel.channel_id }),
        )
        .await;
        bobs.expect_silence().await;
        // What happens to a channel is not told to who does not see it.
        let path = at(&guild, &format!("/channels/{}", channel.channel_id));
        ada.api
            .patch(&path, json!({ "name": "very secret" }))
            .await
            .expect(200);
        bobs.expect_silence().await;

        // A role above everyone, and the member above the role; on one level allowing wins.
        ada.set_override(&guild, &channel, &artists, &see, &[])
            .await
            .expect(200);
        bobs.expect_silence().await;
        ada.give_role(&guild, &artist, &bob).await.expect(200);
        assert!(sees().await);
        bobs.subscribe(&guild, &channel).await;
        ada.say(&guild, &channel, "now he does").await;
        bobs.next_named("message_create").await;
        ada.set_override(&guild, &channel, &bobself, &[], &see)
            .await
            .expect(200);
        assert!(!sees().await);
        ada.set_override(&guild, &channel, &bobself, &[], &[])
            .await
            .expect(200);
        assert!(sees().await);
        bobs.subscribe(&guild, &channel).await;
        bobs.drain().await;

        // The role goes, and sight with it.
        ada.take_role(&guild, &artist, &bob).await.expect(200);
        ada.say(&guild, &channel, "he does not hear this either")
            .await;
        bobs.expect("workspace_role_assignment_remove").await;
        bobs.expect_silence().await;
        assert!(!sees().await);
        // The other channel was never touched, and the owner sees all.
        bobs.subscribe(&guild, &open).await;
        ada.set_override(
            &guild,
            &channel,
            &format!("member/{}", ada.user_id),
            &[],
            &see,
        )
        .await
        .expect(200);
        assert_eq!(permissions(&ada.rights(&guild, &channel).await).len(), 12);

        let both = ada.set_override(&guild, &open, &everyone, &see, &see).await;
        both.expect_error(400, "invalid_request");
        for whom in ["role/x", "member/x", "thing/x"] {
            let bad = ada.set_override(&guild, &open, whom, &[], &[]).await;
            bad.expect_error(400, "invalid_request");
        }
        let nobody = format!("member/{}", Person::register(&server, "eve").await.user_id);
        let bad = ada.set_override(&guild, &open, &nobody, &[], &see).await;
        bad.expect_error(404, "not_found");
    }
);

on_both_databases!(
    who_left_with_a_denial_has_it_when_they_come_back,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        let whom = format!("member/{}", bob.user_id);
        let deny = ["create_message"];
        ada.set_override(&guild, &channel, &whom, &[], &deny)
            .await
            .expect(200);
        bob.api
            .post_nothing(&at(&guild, "/leave"))
            .await
            .expect(200);
        bob.join(&guild).await;
        assert!(bob.channels(&guild).await.is_empty());
        // It can be taken back also while they are away.
        bob.api
            .post_nothing(&at(&guild, "/leave"))
            .await
            .expect(200);
        ada.set_override(&guild, &channel, &whom, &[], &[])
            .await
            .expect(200);
        bob.join(&guild).await;
        assert_eq!(bob.channels(&guild).await, [channel]);
    }
);

on_both_databases!(
    nobody_grants_what_they_lack_or_touches_those_above_them,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let powers = [
            "manage_workspace_roles",
            "manage_member_roles",
            "manage_channel_overrides",
            "create_message",
        ];
        let low = ada.make_role(&guild, "low", &["create_message"]).await;
        let strong = ada.make_role(&guild, "strong", &["ban_member"]).await;
        let manager = json!({ "name": "manager", "permissions": powers, "position": 4 });
        ada.api
            .post(&at(&guild, "/roles"), manager)
            .await
            .expect(200);
        let manager = ada.role_named(&guild, "manager").await;
        let moderator = ada.role_named(&guild, "moderator").await;
        let owner = ada.role_named(&guild, "workspace_owner").await;
        for person in [&bob, &eve] {
            person.join(&guild).await;
        }
        ada.give_role(&guild, &manager, &bob).await.expect(200);

        let forbidden = |answer: Answer| drop(answer.expect_error(403, "forbidden"));
        let roles = at(&guild, "/roles");
        let role = |role: &str| at(&guild, &format!("/roles/{role}"));
        // Granting what he lacks: by a new role, by a changed one, by giving one, by an override, by the default.
        forbidden(
            bob.api
                .post(
                    &roles,
                    json!({ "name": "x", "permissions": ["ban_member"] }),
                )
                .await,
        );
        forbidden(
            bob.api
                .patch(
                    &role(&low.role_id),
                    json!({ "permissions": ["ban_member"] }),
                )
                .await,
        );
        forbidden(
            bob.api
                .patch(&role(&strong.role_id), json!({ "permissions": [] }))
                .await,
        );
        forbidden(bob.give_role(&guild, &strong, &eve).await);
        forbidden(
            bob.set_override(
                &guild,
                &channel,
                &format!("role/{}", low.role_id),
                &["ban_member"],
                &[],
            )
            .await,
        );
        forbidden(
            bob.api
                .post(
                    &at(&guild, "/roles/default"),
                    json!({ "role_id": strong.role_id }),
                )
                .await,
        );
        // What who joins is given stands above him: clearing it would take it from them.
        let default = at(&guild, "/roles/default");
        ada.api
            .post(&default, json!({ "role_id": moderator.role_id }))
            .await
            .expect(200);
        forbidden(bob.api.post(&default, json!({ "role_id": null })).await);
        // Touching what stands at or above him.
        for high in [&manager, &moderator, &owner] {
            forbidden(bob.give_role(&guild, high, &eve).await);
            forbidden(
                bob.api
                    .patch(&role(&high.role_id), json!({ "color_hex": null }))
                    .await,
            );
            forbidden(bob.api.delete(&role(&high.role_id)).await);
            forbidden(
                bob.set_override(
                    &guild,
                    &channel,
                    &format!("role/{}", high.role_id),
                    &[],
                    &["create_message"],
                )
                .await,
            );
        }
        forbidden(bob.make(&guild, &eve, "moderator").await);
        forbidden(bob.make(&guild, &eve, "owner").await);
        forbidden(bob.give_role(&guild, &low, &ada).await);
        forbidden(bob.take_role(&guild, &owner, &ada).await);
        let top = json!({ "name": "x", "permissions": [], "position": 5 });
        forbidden(bob.api.post(&roles, top).await);
        let order: Vec<String> = {
            let all = ada.roles(&guild).await;
            let movable = all.into_iter().filter(|role| !role.is_system);
            movable.map(|role| role.role_id).collect()
        };
        let mut above = order.clone();
        above.swap(0, 1);
        forbidden(
            bob.api
                .post(&at(&guild, "/roles/reorder"), json!({ "role_ids": above }))
                .await,
        );

        // What is his to do, he does.
        let mut below = order.clone();
        let last = below.len() - 1;
        below.swap(last, last - 1);
        bob.api
            .post(&at(&guild, "/roles/reorder"), json!({ "role_ids": below }))
            .await
            .expect(200);
        bob.give_role(&guild, &low, &eve).await.expect(200);
        bob.give_role(&guild, &low, &bob).await.expect(200);
        let made = bob
            .api
            .post(
                &roles,
                json!({ "name": "new", "permissions": ["create_message"] }),
            )
            .await;
        made.expect(200);
        bob.set_override(
            &guild,
            &channel,
            &format!("member/{}", eve.user_id),
            &[],
            &["create_message"],
        )
        .await
        .expect(200);

        // Owners are equals, and there is always one.
        forbidden(ada.make(&guild, &ada, "member").await);
        forbidden(ada.take_role(&guild, &owner, &ada).await);
        ada.make(&guild, &eve, "owner").await.expect(200);
        forbidden(ada.make(&guild, &eve, "member").await);
        forbidden(eve.kick(&guild, &ada).await);
        ada.make(&guild, &ada, "member").await.expect(200);
        forbidden(eve.make(&guild, &eve, "moderator").await);
    }
);

on_both_databases!(the_three_standings_map_onto_roles, async |backend| {
    let server = Server::start(backend).await;
    let ada = Person::register(&server, "ada").await;
    let bob = Person::register(&server, "bob").await;
    let guild = ada.found_guild("engines", Visibility::Private).await;
    let channel = ada.open_channel(&guild, "general").await;
    let add = at(&guild, &format!("/members/{}", bob.user_id));
    ada.api.post_nothing(&add).await.expect(200);
    ada.api.post_nothing(&add).await.expect(200);
    assert_eq!(bob.guilds().await, std::slice::from_ref(&guild));
    let mut bobs = bob.listen().await;

    let moderator = ada.role_named(&guild, "moderator").await;
    ada.make(&guild, &bob, "moderator").await.expect(200);
    let told = bobs.expect("workspace_role_assignment_add").await.data;
    assert_eq!(told["role_id"], *moderator.role_id);
    let told = bobs.expect("workspace_member_update").await.data;
    assert_eq!(told["updated_fields"], json!({ "role": "moderator" }));
    let rights = bob.rights(&guild, &channel).await.expect(200);
    assert_eq!(rights.body["role"], "moderator");
    assert!(permissions(&rights).contains(&"ban_member"));

    let path = at(
        &guild,
        &format!("/channels/{}/overrides/moderator", channel.channel_id),
    );
    let deny = json!({ "allow": ["manage_roles"], "deny": ["ban_member"] });
    ada.api.post(&path, &deny).await.expect(200);
    let told = bobs
        .expect("workspace_channel_role_override_update")
        .await
        .data;
    assert_eq!(
        (&told["role"], &told["updated_fields"]),
        (&json!("moderator"), &deny)
    );
    let told = bobs
        .expect("workspace_channel_permission_override_update")
        .await
        .data;
    assert_eq!(
        (&told["target_kind"], &told["target_id"]),
        (&json!("role"), &json!("moderator"))
    );
    let rights = bob.rights(&guild, &channel).await.expect(200);
    let may = permissions(&rights);
    assert!(
        !may.contains(&"ban_member") && may.contains(&"manage_roles"),
        "{may:?}"
    );

    ada.make(&guild, &bob, "member").await.expect(200);
    bobs.expect("workspace_role_assignment_remove").await;
    let told = bobs.expect("workspace_member_update").await.data;
    assert_eq!(told["updated_fields"], json!({ "role": "member" }));
    assert_eq!(bob.rights(&guild, &channel).await.body["role"], "member");
    // Who is made a member holds the role that stands for it, whatever they held before.
    let member = ada.role_named(&guild, "member").await;
    ada.take_role(&guild, &member, &bob).await.expect(200);
    ada.make(&guild, &bob, "member").await.expect(200);
    let told = bobs
        .next_that("workspace_role_assignment_add", |data| {
            data["user_id"] == *bob.user_id
        })
        .await;
    assert_eq!(told.data["role_id"], *member.role_id);
    ada.make(&guild, &bob, "king")
        .await
        .expect_error(400, "invalid_request");
});

on_both_databases!(
    a_channel_gives_and_takes_the_right_to_manage_it,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let other = ada.open_channel(&guild, "other").await;
        let low = ada.make_role(&guild, "low", &[]).await;
        let powers = ["manage_channel_overrides", "publish_video"];
        let manager = json!({ "name": "manager", "permissions": powers, "position": 3 });
        ada.api
            .post(&at(&guild, "/roles"), manager)
            .await
            .expect(200);
        let manager = ada.role_named(&guild, "manager").await;
        bob.join(&guild).await;
        eve.join(&guild).await;
        ada.give_role(&guild, &manager, &bob).await.expect(200);
        let forbidden = |answer: Answer| drop(answer.expect_error(403, "forbidden"));
        let (low, bobself) = (
            format!("role/{}", low.role_id),
            format!("member/{}", bob.user_id),
        );
        let video = ["publish_video"];

        // What the owner has denied him he neither lifts nor grants to others there; elsewhere he may.
        ada.set_override(&guild, &channel, &bobself, &[], &video)
            .await
            .expect(200);
        forbidden(bob.set_override(&guild, &channel, &bobself, &[], &[]).await);
        forbidden(
            bob.set_override(&guild, &other, &bobself, &video, &[])
                .await,
        );
        forbidden(bob.set_override(&guild, &channel, &low, &video, &[]).await);
        bob.set_override(&guild, &other, &low, &video, &[])
            .await
            .expect(200);
        let rights = bob.rights(&guild, &channel).await.expect(200);
        assert!(!permissions(&rights).contains(&"publish_video"));

        // Without the right in the channel there is nothing to manage; sight may be taken with it.
        let deny = ["manage_channel_overrides"];
        ada.set_override(&guild, &channel, &bobself, &[], &deny)
            .await
            .expect(200);
        forbidden(bob.set_override(&guild, &channel, &low, &video, &[]).await);
        ada.set_override(&guild, &channel, &bobself, &[], &["create_message"])
            .await
            .expect(200);
        bob.set_override(&guild, &channel, &low, &video, &[])
            .await
            .expect_error(404, "not_found");

        // Who has it from the channel alone has it there alone.
        let eves = format!("member/{}", eve.user_id);
        forbidden(eve.set_override(&guild, &channel, &low, &[], &video).await);
        let helper = ada.make_role(&guild, "helper", &[]).await;
        ada.set_override(&guild, &channel, &eves, &deny, &[])
            .await
            .expect(200);
        let helpers = format!("role/{}", helper.role_id);
        eve.set_override(&guild, &channel, &helpers, &[], &video)
            .await
            .expect(200);
        forbidden(
            eve.set_override(&guild, &other, &helpers, &[], &video)
                .await,
        );
    }
);

on_both_databases!(
    what_a_channel_says_of_the_rights_of_a_guild_holds_nowhere_else,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        eve.join(&guild).await;
        let whom = format!("member/{}", bob.user_id);
        let rights = ["ban_member", "view_audit_log", "manage_roles"];
        ada.set_override(&guild, &channel, &whom, &rights, &[])
            .await
            .expect(200);
        bob.kick(&guild, &eve).await.expect_error(403, "forbidden");
        bob.api
            .get(&at(&guild, "/audit"))
            .await
            .expect_error(403, "audit_access_denied");
        let path = at(&guild, &format!("/channels/{}", channel.channel_id));
        bob.api
            .patch(&path, json!({ "name": "mine" }))
            .await
            .expect_error(403, "forbidden");
    }
);

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nobody,
    Revoked,
    Stranger,
    Banned,
    Member,
    Moderator,
    Owner,
}

const KINDS: [Kind; 7] = [
    Kind::Nobody,
    Kind::Revoked,
    Kind::Stranger,
    Kind::Banned,
    Kind::Member,
    Kind::Moderator,
    Kind::Owner,
];

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum May {
    /// Everybody gets this status, whoever they are.
    All(u16),
    /// Whoever is logged in gets this status.
    SignedIn(u16),
    Members,
    Moderators,
    Owners,
    /// To join a public guild: everybody but who is banned.
    Joiners,
    /// What is the owner's own; for everybody else there is no such thing.
    OwnerAlone,
    /// What is between the member and the owner; for everybody else there is no such thing.
    MemberAndOwner,
}

impl May {
    /// The status that somebody gets.
    fn status(self, kind: Kind, success: u16) -> u16 {
        let level = match kind {
            Kind::Nobody | Kind::Revoked => match self {
                Self::All(status) => return status,
                _ => return 401,
            },
            Kind::Stranger | Kind::Banned => 0,
            Kind::Member => 1,
            Kind::Moderator => 2,
            Kind::Owner => 3,
        };
        let needed = match self {
            Self::All(status) | Self::SignedIn(status) => return status,
            Self::OwnerAlone if kind == Kind::Owner => return success,
            Self::MemberAndOwner if matches!(kind, Kind::Member | Kind::Owner) => return success,
            Self::OwnerAlone | Self::MemberAndOwner => return 404,
            Self::Joiners if kind == Kind::Banned => return 403,
            Self::Joiners => 0,
            Self::Members => 1,
            Self::Moderators => 2,
            Self::Owners => 3,
        };
        match level {
            level if level >= needed => success,
            0 => 404,
            _ => 403,
        }
    }
}

/// A route, who may use it, a good body, and what a success answers.
struct Row {
    operation: &'static str,
    may: May,
    body: Option<Value>,
    success: u16,
}

fn row(operation: &'static str, may: May, body: Option<Value>) -> Row {
    Row {
        operation,
        may,
        body,
        success: 200,
    }
}

/// Every route of the product. What stands in braces in a path or a body is filled in by [`Stage::fill`].
fn table() -> Vec<Row> {
    use May::{All, Joiners, MemberAndOwner, Members, Moderators, OwnerAlone, Owners, SignedIn};
    let say = || Some(json!({ "content": "hello" }));
    let override_body = || Some(json!({ "allow": [], "deny": [] }));
    let no_content = |operation, may| Row {
        success: 204,
        ..row(operation, may, None)
    };
    vec![
        row("GET /health", All(200), None),
        row("GET /metrics", All(200), None),
        row("GET /slow", All(200), None),
        row("POST /echo", All(200), Some(json!({ "message": "hello" }))),
        row(
            "POST /auth/register",
            All(400),
            Some(json!({ "username": "a", "password": "b" })),
        ),
        row(
            "POST /auth/login",
            All(401),
            Some(json!({ "username": "nobody", "password": "not the password" })),
        ),
        row(
            "POST /auth/refresh",
            All(401),
            Some(json!({ "refresh_token": "nonsense" })),
        ),
        row(
            "POST /auth/logout",
            All(401),
            Some(json!({ "refresh_token": "nonsense" })),
        ),
        row("GET /auth/captcha", All(200), None),
        row("GET /auth/me", SignedIn(200), None),
        row("GET /auth/sessions", SignedIn(200), None),
        row("DELETE /auth/sessions", SignedIn(204), None),
        no_content("DELETE /auth/sessions/{session_id}", OwnerAlone),
        // Everybody keeps their password, so that they can log in below.
        row(
            "POST /auth/password",
            SignedIn(400),
            Some(json!({ "current_password": PASSWORD, "new_password": PASSWORD })),
        ),
        row(
            "PATCH /users/me/profile",
            SignedIn(200),
            Some(json!({ "about_markdown": "hello" })),
        ),
        row("GET /users/{user_id}/profile", SignedIn(200), None),
        row(
            "POST /users/lookup",
            SignedIn(200),
            Some(json!({ "user_ids": ["{user_id}"] })),
        ),
        // No module keeps pictures yet.
        row("POST /users/me/profile/avatar", SignedIn(503), None),
        row("POST /users/me/profile/banner", SignedIn(503), None),
        row("DELETE /users/me/profile/avatar", SignedIn(200), None),
        row("DELETE /users/me/profile/banner", SignedIn(200), None),
        row("GET /users/{user_id}/avatar", All(404), None),
        row("GET /users/{user_id}/banner", All(404), None),
        row("GET /friends", SignedIn(200), None),
        row("GET /friends/requests", SignedIn(200), None),
        row(
            "POST /friends/requests",
            SignedIn(200),
            Some(json!({ "recipient_user_id": "{user_id}" })),
        ),
        no_content("DELETE /friends/requests/{request_id}", MemberAndOwner),
        row(
            "POST /friends/requests/{request_id}/accept",
            OwnerAlone,
            None,
        ),
        row("DELETE /friends/{user_id}", SignedIn(204), None),
        row("GET /blocks", SignedIn(200), None),
        row("POST /blocks/{user_id}", SignedIn(204), None),
        row("DELETE /blocks/{user_id}", SignedIn(204), None),
        row(
            "POST /guilds",
            SignedIn(200),
            Some(json!({ "name": "mine" })),
        ),
        row("GET /guilds", SignedIn(200), None),
        row("GET /guilds/public", SignedIn(200), None),
        row(
            "PATCH /guilds/{guild_id}",
            Owners,
            Some(json!({ "name": "engines" })),
        ),
        row("DELETE /guilds/{guild_id}", Owners, None),
        row("POST /guilds/{guild_id}/join", Joiners, None),
        row("POST /guilds/{guild_id}/leave", Members, None),
        row(
            "POST /guilds/{guild_id}/transfer",
            Owners,
            Some(json!({ "user_id": "{user_id}" })),
        ),
        row("GET /guilds/{guild_id}/members", Members, None),
        row("POST /guilds/{guild_id}/members/{user_id}", Owners, None),
        row(
            "PATCH /guilds/{guild_id}/members/{user_id}",
            Owners,
            Some(json!({ "role": "member" })),
        ),
        row(
            "POST /guilds/{guild_id}/members/{user_id}/kick",
            Moderators,
            None,
        ),
        row(
            "POST /guilds/{guild_id}/members/{user_id}/ban",
            Moderators,
            None,
        ),
        row("GET /guilds/{guild_id}/bans", Moderators, None),
        row(
            "DELETE /guilds/{guild_id}/bans/{banned_id}",
            Moderators,
            None,
        ),
        row("GET /guilds/{guild_id}/audit", Moderators, None),
        row("GET /guilds/{guild_id}/ip-bans", Moderators, None),
        row(
            "POST /guilds/{guild_id}/ip-bans/by-user",
            Moderators,
            Some(json!({ "target_user_id": "{user_id}", "expires_in_secs": 1 })),
        ),
        row(
            "DELETE /guilds/{guild_id}/ip-bans/{ban_id}",
            Moderators,
            None,
        ),
        row("GET /guilds/{guild_id}/roles", Members, None),
        row(
            "POST /guilds/{guild_id}/roles",
            Owners,
            Some(json!({ "name": "x", "permissions": [] })),
        ),
        row(
            "PATCH /guilds/{guild_id}/roles/{role_id}",
            Owners,
            Some(json!({ "name": "x" })),
        ),
        row("DELETE /guilds/{guild_id}/roles/{role_id}", Owners, None),
        row(
            "POST /guilds/{guild_id}/roles/reorder",
            Owners,
            Some(json!({ "role_ids": "{role_ids}" })),
        ),
        row(
            "POST /guilds/{guild_id}/roles/default",
            Owners,
            Some(json!({ "role_id": null })),
        ),
        row(
            "POST /guilds/{guild_id}/roles/{role_id}/members/{user_id}",
            Owners,
            None,
        ),
        row(
            "DELETE /guilds/{guild_id}/roles/{role_id}/members/{user_id}",
            Owners,
            None,
        ),
        row(
            "POST /guilds/{guild_id}/channels",
            Owners,
            Some(json!({ "name": "x" })),
        ),
        row("GET /guilds/{guild_id}/channels", Members, None),
        row(
            "PATCH /guilds/{guild_id}/channels/{channel_id}",
            Owners,
            Some(json!({ "topic": "x" })),
        ),
        row(
            "DELETE /guilds/{guild_id}/channels/{channel_id}",
            Owners,
            None,
        ),
        row(
            "POST /guilds/{guild_id}/channels/reorder",
            Owners,
            Some(json!({ "channel_ids": "{channel_ids}" })),
        ),
        row(
            "GET /guilds/{guild_id}/channels/{channel_id}/permissions/self",
            Members,
            None,
        ),
        row(
            "POST /guilds/{guild_id}/channels/{channel_id}/overrides/{role}",
            Owners,
            override_body(),
        ),
        row(
            "POST /guilds/{guild_id}/channels/{channel_id}/permission-overrides/{kind}/{id}",
            Owners,
            override_body(),
        ),
        row(
            "POST /guilds/{guild_id}/channels/{channel_id}/messages",
            Members,
            say(),
        ),
        row(
            "GET /guilds/{guild_id}/channels/{channel_id}/messages",
            Members,
            None,
        ),
        row(
            "PATCH /guilds/{guild_id}/channels/{channel_id}/messages/{message_id}",
            Moderators,
            say(),
        ),
        no_content(
            "DELETE /guilds/{guild_id}/channels/{channel_id}/messages/{message_id}",
            Moderators,
        ),
        row(
            "POST /guilds/{guild_id}/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
            Members,
            None,
        ),
        row(
            "DELETE /guilds/{guild_id}/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
            Members,
            None,
        ),
    ]
}

/// A guild with everybody in it, made ready anew for each question, as the answer to the last one may have changed it.
struct Stage {
    owner: Person,
    member: Person,
    moderator: Person,
    stranger: Person,
    banned: Person,
    victim: Person,
    revoked: Api,
}

/// What stands for the parameters of a path.
struct Props {
    guild: Guild,
    channel: Channel,
    message_id: String,
    role_id: String,
    ban_id: String,
}

impl Stage {
    async fn set(server: &Server) -> Self {
        let owner = Person::register(server, "owner").await;
        let revoked = Person::log_in(server, "owner").await;
        revoked.log_out().await;
        Self {
            member: Person::register(server, "member").await,
            moderator: Person::register(server, "moderator").await,
            stranger: Person::register(server, "stranger").await,
            banned: Person::register(server, "banned").await,
            victim: Person::register(server, "victim").await,
            revoked: revoked.api,
            owner,
        }
    }

    fn api(&self, kind: Kind) -> Api {
        match kind {
            Kind::Nobody => self.owner.api.without_token(),
            Kind::Revoked => self.revoked.clone(),
            Kind::Stranger => self.stranger.api.clone(),
            Kind::Banned => self.banned.api.clone(),
            Kind::Member => self.member.api.clone(),
            Kind::Moderator => self.moderator.api.clone(),
            Kind::Owner => self.owner.api.clone(),
        }
    }

    /// A guild of the owner with everybody where they belong.
    async fn props(&self, visibility: Visibility) -> Props {
        let owner = &self.owner;
        let guild = owner.found_guild("engines", visibility).await;
        for person in [&self.member, &self.moderator, &self.victim] {
            let add = at(&guild, &format!("/members/{}", person.user_id));
            owner.api.post_nothing(&add).await.expect(200);
        }
        owner
            .make(&guild, &self.moderator, "moderator")
            .await
            .expect(200);
        // By the moderator, who then may lift it too.
        let ban = self.moderator.ban(&guild, &self.banned).await;
        ban.expect(200);
        let channel = owner.open_channel(&guild, "general").await;
        let message = owner.say(&guild, &channel, "hello").await;
        let role = owner.make_role(&guild, "artist", &[]).await;
        let path = messages_of(&guild, &channel);
        let request = self.victim.api.request(Method::POST, &path);
        let request = request.header("x-forwarded-for", "198.51.100.7");
        let said = request.json(&json!({ "content": "from elsewhere" }));
        self.victim.api.send(said).await.expect(200);
        let target = json!({ "target_user_id": self.victim.user_id, "expires_in_secs": 600 });
        let bans = owner
            .api
            .post(&at(&guild, "/ip-bans/by-user"), target)
            .await;
        let bans = bans.expect(200).body;
        let ban_id = bans["ban_ids"][0].as_str().expect("a ban").to_owned();
        Props {
            channel,
            message_id: message.message_id,
            role_id: role.role_id,
            ban_id,
            guild,
        }
    }

    /// The route's path and body with everything filled in: the guild of `guild`, and what is in it of `children`.
    async fn fill(&self, text: &str, guild: &Props, children: &Props) -> String {
        let mut text = text
            .replace("{guild_id}", &guild.guild.guild_id)
            .replace("{channel_id}", &children.channel.channel_id)
            .replace("{message_id}", &children.message_id)
            .replace("{role_id}", &children.role_id)
            .replace("{ban_id}", &children.ban_id)
            .replace("{user_id}", &self.victim.user_id)
            .replace("{banned_id}", &self.banned.user_id)
            .replace("{role}", "member")
            .replace("{kind}", "role")
            .replace("{id}", &children.role_id)
            .replace("{emoji}", "x");
        if text.contains("{session_id}") {
            let id = self.another_session_of_the_owner().await;
            text = text.replace("{session_id}", &id);
        }
        if text.contains("{request_id}") {
            let request = self.member.ask_friendship(&self.owner).await;
            text = text.replace("{request_id}", &request.request_id);
        }
        if text.contains("{role_ids}") {
            let roles = self.owner.roles(&guild.guild).await;
            let movable = roles.iter().filter(|role| !role.is_system);
            let ids: Vec<&str> = movable.map(|role| role.role_id.as_str()).collect();
            text = text.replace("\"{role_ids}\"", &json!(ids).to_string());
        }
        if text.contains("{channel_ids}") {
            let channels = self.owner.channels(&guild.guild).await;
            let ids: Vec<&str> = channels.iter().map(|c| c.channel_id.as_str()).collect();
            text = text.replace("\"{channel_ids}\"", &json!(ids).to_string());
        }
        text
    }

    async fn another_session_of_the_owner(&self) -> String {
        let credentials = json!({ "username": self.owner.name, "password": PASSWORD });
        let anybody = self.owner.api.without_token();
        let session: Session = anybody.post("/auth/login", credentials).await.read();
        session.id().to_owned()
    }

    async fn ask(&self, row: &Row, kind: Kind, guild: &Props, children: &Props) -> Answer {
        let (method, path) = row.operation.split_once(' ').expect("a method and a path");
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let path = self.fill(path, guild, children).await;
        let api = self.api(kind);
        let mut request = api.request(method, &path);
        if let Some(body) = &row.body {
            let body = self.fill(&body.to_string(), guild, children).await;
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        api.send(request).await
    }
}

/// A route whose path names something inside a guild that belongs to the guild alone.
fn has_a_child(operation: &str) -> bool {
    ["{channel_id}", "{role_id}", "{ban_id}", "{id}"]
        .iter()
        .any(|child| operation.contains(child))
}

on_both_databases!(
    every_route_answers_every_caller_what_it_should,
    async |backend| {
        let server = Server::builder(backend)
            .env("FILAMENT_TRUSTED_PROXY_CIDRS", "127.0.0.0/8")
            .env(
                "FILAMENT_SOCIAL__FRIEND_REQUESTS_PER_MINUTE_PER_USER",
                1_000,
            )
            .start()
            .await;
        let stage = Stage::set(&server).await;
        let document = server.api().get("/openapi.json").await.expect(200).body;
        let mut served: Vec<String> = Vec::new();
        for (path, operations) in document["paths"].as_object().expect("paths") {
            for method in operations.as_object().expect("operations").keys() {
                // The table tells the two users apart that one path can name.
                let path = path.replace("/bans/{user_id}", "/bans/{banned_id}");
                served.push(format!("{} {path}", method.to_uppercase()));
            }
        }
        let table = table();
        let mut known: Vec<&str> = table.iter().map(|row| row.operation).collect();
        known.sort_unstable();
        served.sort_unstable();
        assert_eq!(served, known, "the table has a row for each route");

        let mut wrong = Vec::new();
        for row in &table {
            let guild_route = row.operation.contains("{guild_id}");
            let mut props = stage.props(Visibility::Public).await;
            for kind in KINDS {
                let mut expected = row.may.status(kind, row.success);
                // The last owner cannot leave.
                if row.operation.ends_with("/leave") && kind == Kind::Owner {
                    expected = 403;
                }
                let answer = stage.ask(row, kind, &props, &props).await;
                if answer.status != expected {
                    wrong.push(format!(
                        "{} by {kind:?}: {expected} expected, {answer:?}",
                        row.operation
                    ));
                }
                if guild_route && answer.status < 300 && row.may != May::Members {
                    props = stage.props(Visibility::Public).await;
                }
            }
            if !guild_route {
                continue;
            }
            // Of a private guild nobody knows but its members.
            let private = stage.props(Visibility::Private).await;
            for kind in [Kind::Stranger, Kind::Banned] {
                let answer = stage.ask(row, kind, &private, &private).await;
                if answer.status != 404 {
                    wrong.push(format!(
                        "{} of a private guild by {kind:?}: {answer:?}",
                        row.operation
                    ));
                }
            }
            let other = stage.props(Visibility::Public).await;
            if has_a_child(row.operation) {
                let answer = stage.ask(row, Kind::Owner, &props, &other).await;
                // The override of a standing names the role by its word, which every guild has; its channel is foreign all the same.
                if answer.status != 404 {
                    wrong.push(format!(
                        "{} under a wrong parent: {answer:?}",
                        row.operation
                    ));
                }
            }
            if row.may != May::Joiners {
                // Somebody who owns another guild is as much a stranger here as anybody.
                stage
                    .stranger
                    .found_guild("elsewhere", Visibility::Private)
                    .await;
                let answer = stage.ask(row, Kind::Stranger, &other, &other).await;
                if answer.status != 404 {
                    wrong.push(format!(
                        "{} by the owner of another guild: {answer:?}",
                        row.operation
                    ));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
);

//! Guilds and channels from their making to their end.

use std::{sync::Arc, time::Duration};

use filament_host::{
    config::{self, Inputs},
    database,
};
use filament_kernel::db::Database;
use filament_test_support::{
    GatewayClient, Guild, Person, Server, TestDatabase, Visibility, on_both_databases,
    people::{at, messages_of},
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;
use tokio::task::JoinSet;

on_both_databases!(
    a_guild_that_is_renamed_is_found_by_its_new_name,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        bob.join(&guild).await;
        let mut bobs = bob.listen().await;

        let change = json!({ "name": "Motors" });
        let renamed = ada.api.patch(&at(&guild, ""), change).await.expect(200);
        assert_eq!(
            renamed.body,
            json!({ "guild_id": guild.guild_id, "name": "Motors", "visibility": "public" })
        );
        let told = bobs.expect("workspace_update").await.data;
        assert_eq!(told["updated_fields"], json!({ "name": "Motors" }));
        assert_eq!(told["guild_id"], *guild.guild_id);
        assert_eq!(told["actor_user_id"], *ada.user_id);
        assert!(told["updated_at_unix"].is_i64());
        let found = bob.api.get("/guilds/public?q=motor").await.expect(200);
        assert_eq!(found.body["guilds"], json!([renamed.body]));

        // Bytes that are no text are no name to search for.
        ada.api
            .get("/guilds/public?q=%ff")
            .await
            .expect_error(400, "invalid_request");

        let change = json!({ "visibility": "private" });
        ada.api.patch(&at(&guild, ""), change).await.expect(200);
        let told = bobs.expect("workspace_update").await.data;
        assert_eq!(told["updated_fields"], json!({ "visibility": "private" }));
        let found = bob.api.get("/guilds/public").await.expect(200);
        assert_eq!(found.body["guilds"], json!([]));
        let eve = Person::register(&server, "eve").await;
        eve.api
            .post_nothing(&at(&guild, "/join"))
            .await
            .expect_error(404, "not_found");

        for body in [json!({}), json!({ "name": " " }), json!({ "colour": 1 })] {
            ada.api
                .patch(&at(&guild, ""), body)
                .await
                .expect_error(400, "invalid_request");
        }
        bob.api
            .patch(&at(&guild, ""), json!({ "name": "mine" }))
            .await
            .expect_error(403, "forbidden");
    }
);

on_both_databases!(
    channels_are_changed_and_put_into_another_order,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let mut channels = Vec::new();
        for name in ["a", "b", "c"] {
            channels.push(ada.open_channel(&guild, name).await);
        }
        bob.join(&guild).await;
        let mut bobs = bob.listen().await;

        let path = at(&guild, &format!("/channels/{}", channels[0].channel_id));
        let change = json!({ "name": "first", "topic": "what comes first" });
        let changed = ada.api.patch(&path, &change).await.expect(200).body;
        assert_eq!(changed["name"], "first");
        assert_eq!(changed["topic"], "what comes first");
        let told = bobs.expect("channel_update").await.data;
        assert_eq!(told["updated_fields"], change);
        assert_eq!(told["channel_id"], *channels[0].channel_id);

        let order: Vec<&str> = [2, 0, 1]
            .map(|n: usize| channels[n].channel_id.as_str())
            .into();
        let reorder = at(&guild, "/channels/reorder");
        let accepted = ada
            .api
            .post(&reorder, json!({ "channel_ids": order }))
            .await;
        assert_eq!(accepted.expect(200).body, json!({ "accepted": true }));
        let told = bobs.expect("channel_reorder").await.data;
        assert_eq!(told["channel_ids"], json!(order));
        let ids = async || -> Vec<String> {
            let seen = bob.channels(&guild).await;
            seen.into_iter().map(|channel| channel.channel_id).collect()
        };
        assert_eq!(ids().await, order);
        let last = ada.open_channel(&guild, "d").await;
        assert_eq!(ids().await.last(), Some(&last.channel_id));

        // What stays as it is is no news.
        bobs.drain().await;
        ada.api.patch(&path, &change).await.expect(200);
        ada.api
            .post(&reorder, json!({ "channel_ids": ids().await }))
            .await
            .expect(200);
        bobs.expect_silence().await;

        for bad in [
            json!([channels[0].channel_id]),
            json!([order[0], order[0], order[1], last.channel_id]),
        ] {
            ada.api
                .post(&reorder, json!({ "channel_ids": bad }))
                .await
                .expect_error(400, "invalid_request");
        }
        let topic = json!({ "topic": "x".repeat(1_025) });
        ada.api
            .patch(&path, topic)
            .await
            .expect_error(400, "invalid_request");
    }
);

on_both_databases!(
    a_deleted_channel_is_gone_for_everybody_with_what_was_said,
    async |backend| {
        let database = backend.database().await.expect("a database");
        let server = Server::builder(backend).database(database.clone());
        let server = server.start().await;
        let ada = Person::register(&server, "ada").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let other = ada.open_channel(&guild, "other").await;
        let said = ada.say(&guild, &channel, "hello").await;
        let kept = ada.say(&guild, &other, "still here").await;
        let path = format!(
            "{}/{}/reactions/x",
            messages_of(&guild, &channel),
            said.message_id
        );
        ada.api.post_nothing(&path).await.expect(200);
        let mut ears = ada.listen_in(&guild, &channel).await;
        ears.drain().await;

        let path = at(&guild, &format!("/channels/{}", channel.channel_id));
        ada.api.delete(&path).await.expect(200);
        let told = ears.expect("channel_delete").await.data;
        assert_eq!(told["channel_id"], *channel.channel_id);
        assert!(told["deleted_at_unix"].is_i64());
        ada.api
            .get(&messages_of(&guild, &channel))
            .await
            .expect_error(404, "not_found");
        ada.api
            .post(&messages_of(&guild, &channel), json!({ "content": "late" }))
            .await
            .expect_error(404, "not_found");
        assert_eq!(ada.channels(&guild).await, std::slice::from_ref(&other));
        assert_eq!(ada.history(&guild, &other).await, [kept]);
        ears.expect_silence().await;
        let db = connect(&database).await;
        until_no_orphans(&db).await;
    }
);

on_both_databases!(
    who_leaves_hears_so_and_then_nothing_and_the_last_owner_stays,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        let mut adas = ada.listen().await;
        let mut bobs = bob.listen_in(&guild, &channel).await;

        let leave = at(&guild, "/leave");
        ada.api
            .post_nothing(&leave)
            .await
            .expect_error(403, "forbidden");
        bob.api.post_nothing(&leave).await.expect(200);
        for ears in [&mut adas, &mut bobs] {
            let told = ears.next_named("workspace_member_remove").await.data;
            assert_eq!(told["user_id"], *bob.user_id);
            assert_eq!(told["reason"], "leave");
            assert!(told["removed_at_unix"].is_i64());
        }
        bobs.drain().await;
        ada.say(&guild, &channel, "is anybody here?").await;
        ada.open_channel(&guild, "another").await;
        bobs.expect_silence().await;
        assert!(bob.guilds().await.is_empty());
        bob.api
            .post_nothing(&leave)
            .await
            .expect_error(404, "not_found");
        bob.join(&guild).await;
        assert_eq!(bob.guilds().await, [guild]);
    }
);

on_both_databases!(
    a_guild_is_handed_over_and_its_old_owner_may_leave,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        let transfer = at(&guild, "/transfer");
        let heir = json!({ "user_id": bob.user_id });
        ada.api
            .post(&transfer, &heir)
            .await
            .expect_error(404, "not_found");
        bob.join(&guild).await;
        bob.api
            .post(&transfer, &heir)
            .await
            .expect_error(403, "forbidden");
        let mut bobs = bob.listen().await;

        ada.api.post(&transfer, &heir).await.expect(200);
        let mut seen = Vec::new();
        for _ in 0..5 {
            let event = bobs.next_event().await;
            let who = if event.data["user_id"] == *bob.user_id {
                "bob"
            } else {
                "ada"
            };
            seen.push((event.name, who));
        }
        let expected = [
            ("workspace_role_assignment_add", "bob"),
            ("workspace_member_update", "bob"),
            ("workspace_role_assignment_add", "ada"),
            ("workspace_role_assignment_remove", "ada"),
            ("workspace_member_update", "ada"),
        ];
        assert!(
            seen.iter()
                .map(|(name, who)| (name.as_str(), *who))
                .eq(expected),
            "{seen:?}"
        );
        assert_eq!(bob.rights(&guild, &channel).await.body["role"], "owner");
        assert_eq!(ada.rights(&guild, &channel).await.body["role"], "member");
        let member = ada.role_named(&guild, "member").await;
        let list = ada.api.get(&at(&guild, "/members")).await.expect(200).body;
        let old_owner = list["members"]
            .as_array()
            .and_then(|all| all.iter().find(|one| one["user_id"] == *ada.user_id));
        assert_eq!(
            old_owner.expect("ada is in it")["role_ids"],
            json!([member.role_id])
        );
        bob.api
            .post(&transfer, json!({ "user_id": bob.user_id }))
            .await
            .expect_error(400, "invalid_request");
        ada.api
            .post_nothing(&at(&guild, "/leave"))
            .await
            .expect(200);
    }
);

on_both_databases!(
    of_a_deleted_guild_nothing_is_left_not_even_after_a_crash,
    async |backend| {
        let database = backend.database().await.expect("a database");
        let builder = Server::builder(backend)
            .database(database.clone())
            .env("FILAMENT_MAX_CREATED_GUILDS_PER_USER", 1);
        let mut server = builder.start().await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let eve = Person::register(&server, "eve").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        furnish(&ada, &bob, &eve, &guild).await;
        let channel = ada.channels(&guild).await.remove(0);
        for n in 0..700 {
            ada.say(&guild, &channel, &format!("message {n}")).await;
        }
        let kept = bob.found_guild("boats", Visibility::Public).await;
        let harbour = bob.open_channel(&kept, "harbour").await;
        bob.say(&kept, &harbour, "ahoy").await;
        let mut bobs: GatewayClient = bob.listen_in(&guild, &channel).await;
        let mut adas = ada.listen().await;

        bob.api
            .delete(&at(&guild, ""))
            .await
            .expect_error(403, "forbidden");
        ada.api.delete(&at(&guild, "")).await.expect(200);
        server.kill9();
        server.start_again().await;
        for ears in [&mut bobs, &mut adas] {
            // The kill may have been faster than the event; who hears it hears nothing after it.
            let _ = ears.closed().await;
            let after = ears
                .seen()
                .iter()
                .skip_while(|e| e.name != "workspace_delete");
            assert!(after.count() <= 1, "{:?}", ears.seen());
        }
        for person in [&ada, &bob, &eve] {
            person
                .api
                .get(&at(&guild, "/channels"))
                .await
                .expect_error(404, "not_found");
        }
        assert!(ada.guilds().await.is_empty());
        let again = ada.found_guild("engines again", Visibility::Private).await;
        assert_eq!(ada.guilds().await, [again]);
        assert_eq!(bob.history(&kept, &harbour).await.len(), 1);

        let db = connect(&database).await;
        until_no_orphans(&db).await;
        until_nothing_names(&db, &guild.guild_id).await;
    }
);

on_both_databases!(
    members_of_a_deleted_guild_are_told_and_hear_nothing_more,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        bob.join(&guild).await;
        let mut bobs = bob.listen_in(&guild, &channel).await;
        bobs.drain().await;
        ada.api.delete(&at(&guild, "")).await.expect(200);
        let told = bobs.expect("workspace_delete").await.data;
        assert_eq!(told["guild_id"], *guild.guild_id);
        assert_eq!(told["actor_user_id"], *ada.user_id);
        let again = ada.listen().await;
        again.close().await;
        bobs.expect_silence().await;
    }
);

on_both_databases!(
    a_thousand_who_join_at_once_fill_a_guild_exactly,
    async |backend| {
        const PEOPLE: usize = 1_000;
        const ROOM: usize = 700;
        let server = Server::builder(backend)
            .env("FILAMENT_CHAT__MEMBERS_PER_GUILD_MAX", ROOM + 1)
            .start()
            .await;
        let server = Arc::new(server);
        let ada = Person::register(&server, "ada").await;
        let guild = Arc::new(ada.found_guild("engines", Visibility::Public).await);
        let mut people = Vec::new();
        while people.len() < PEOPLE {
            let mut coming = JoinSet::new();
            for n in people.len()..(people.len() + 20).min(PEOPLE) {
                let server = server.clone();
                coming.spawn(async move { Person::register(&server, &format!("person{n}")).await });
            }
            people.extend(coming.join_all().await);
        }

        let mut joins = JoinSet::new();
        for person in people {
            let guild = guild.clone();
            joins.spawn(async move {
                let answer = person.api.post_nothing(&at(&guild, "/join")).await;
                match answer.status {
                    200 => assert_eq!(answer.body["outcome"], "accepted"),
                    _ => drop(answer.clone().expect_error(409, "quota_exceeded")),
                }
                (person, answer.status)
            });
        }
        let joined = joins.join_all().await;
        let (inside, outside): (Vec<_>, Vec<_>) = joined.iter().partition(|(_, s)| *s == 200);
        assert_eq!((inside.len(), outside.len()), (ROOM, PEOPLE - ROOM));

        let mut members = Vec::new();
        let mut query = String::new();
        loop {
            let page = ada.api.get(&at(&guild, &format!("/members{query}"))).await;
            let page = page.expect(200).body;
            members.extend(page["members"].as_array().expect("members").clone());
            match page["next_cursor"].as_str() {
                Some(cursor) => query = format!("?cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(members.len(), ROOM + 1);

        // One who goes makes room for one.
        let (leaver, _) = inside[0];
        leaver
            .api
            .post_nothing(&at(&guild, "/leave"))
            .await
            .expect(200);
        outside[0].0.join(&guild).await;
        let full = outside[1].0.api.post_nothing(&at(&guild, "/join")).await;
        full.expect_error(409, "quota_exceeded");
    }
);

on_both_databases!(
    a_guild_that_changes_hands_while_its_heir_leaves_has_an_owner,
    async |backend| {
        let server = Server::start(backend).await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        for n in 0..10 {
            let guild = ada
                .found_guild(&format!("guild {n}"), Visibility::Public)
                .await;
            let channel = ada.open_channel(&guild, "general").await;
            bob.join(&guild).await;
            let (transfer, leave) = (at(&guild, "/transfer"), at(&guild, "/leave"));
            let heir = json!({ "user_id": bob.user_id });
            let (handed, left) =
                tokio::join!(ada.api.post(&transfer, heir), bob.api.post_nothing(&leave));
            let owner = match (handed.status, left.status) {
                // Bob was gone before he could become the owner, or the owner before he could go.
                (404, 200) => &ada,
                (200, 403) => &bob,
                other => panic!("{other:?}"),
            };
            assert_eq!(owner.rights(&guild, &channel).await.body["role"], "owner");

            // Both at once want to stop being owners: one of them remains.
            if bob
                .guilds()
                .await
                .iter()
                .all(|g| g.guild_id != guild.guild_id)
            {
                bob.join(&guild).await;
            }
            let (other, name) = if owner.name == "ada" {
                (&bob, "bob")
            } else {
                (&ada, "ada")
            };
            owner.make(&guild, other, "owner").await.expect(200);
            let (one, two) = tokio::join!(
                owner.make(&guild, owner, "member"),
                other.api.post_nothing(&leave)
            );
            let mut statuses = [one.status, two.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 403], "{name}");
        }
    }
);

on_both_databases!(a_guild_has_only_so_many_channels, async |backend| {
    let server = Server::builder(backend)
        .env("FILAMENT_CHAT__CHANNELS_PER_GUILD_MAX", 3)
        .start()
        .await;
    let ada = Person::register(&server, "ada").await;
    let guild = ada.found_guild("engines", Visibility::Private).await;
    let path = at(&guild, "/channels");
    let mut creations = JoinSet::new();
    for n in 0..8 {
        let (api, path) = (ada.api.clone(), path.clone());
        let channel = json!({ "name": format!("c{n}") });
        creations.spawn(async move { api.post(&path, channel).await.status });
    }
    let mut statuses = creations.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 409, 409, 409, 409, 409]);
    assert_eq!(ada.channels(&guild).await.len(), 3);
});

/// Puts something of everything into a guild.
async fn furnish(ada: &Person, bob: &Person, eve: &Person, guild: &Guild) {
    let channel = ada.open_channel(guild, "general").await;
    ada.open_channel(guild, "empty").await;
    bob.join(guild).await;
    eve.join(guild).await;
    let role = ada.make_role(guild, "artist", &["create_message"]).await;
    ada.give_role(guild, &role, bob).await.expect(200);
    for whom in [
        format!("role/{}", role.role_id),
        format!("member/{}", bob.user_id),
    ] {
        let deny: &[&str] = &["publish_video"];
        let said = ada.set_override(guild, &channel, &whom, &[], deny).await;
        said.expect(200);
    }
    let bans = at(guild, "/ip-bans/by-user");
    let target = json!({ "target_user_id": eve.user_id });
    let banned = ada.api.post(&bans, target).await.expect(200);
    assert_eq!(banned.body["created_count"], 1);
    ada.ban(guild, eve).await.expect(200);
    let said = ada.say(guild, &channel, "hello").await;
    let path = format!(
        "{}/{}/reactions/x",
        messages_of(guild, &channel),
        said.message_id
    );
    ada.api.post_nothing(&path).await.expect(200);
}

async fn connect(database: &TestDatabase) -> Database {
    let loaded = config::load(&[], &[], &Inputs::default()).expect("defaults");
    database::connect(&database.url, &loaded.host.database)
        .await
        .expect("connects")
}

/// Every table with its columns.
async fn tables(db: &Database) -> Vec<(String, Vec<String>)> {
    let (list, columns) = match db.backend() {
        DbBackend::Sqlite => (
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
            "SELECT name FROM pragma_table_info('%')",
        ),
        _ => (
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'",
            "SELECT column_name AS name FROM information_schema.columns \
             WHERE table_schema = 'public' AND table_name = '%'",
        ),
    };
    let mut tables = Vec::new();
    for table in names(db, list).await {
        let columns = names(db, &columns.replace('%', &table)).await;
        tables.push((table, columns));
    }
    assert!(tables.len() > 10, "{tables:?}");
    tables
}

async fn names(db: &Database, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(db.backend(), sql);
    let rows = db.read().query_all_raw(statement).await.expect("reads");
    rows.iter()
        .map(|row| row.try_get("", "name").expect("a name"))
        .collect()
}

async fn count(db: &Database, sql: &str) -> i64 {
    let statement = Statement::from_string(db.backend(), sql);
    let row = db.read().query_one_raw(statement).await.expect("reads");
    row.expect("a row").try_get_by_index(0).expect("a count")
}

/// What remembers on purpose what is no more: the logs of what was done, and the host's memory of answers.
const RECORDS: &[&str] = &["audit_log", "events", "event_streams"];

/// The tables with rows that refer to a guild, a channel, a role or a message that is not there.
async fn orphans(db: &Database) -> Vec<String> {
    let parents = [
        ("guild_id", "guilds"),
        ("channel_id", "channels"),
        ("role_id", "roles"),
        ("default_join_role_id", "roles"),
        ("message_id", "messages"),
    ];
    let mut found = Vec::new();
    for (table, columns) in tables(db).await {
        for (column, parent) in parents {
            if RECORDS.contains(&table.as_str())
                || table == parent
                || !columns.iter().any(|known| known == column)
            {
                continue;
            }
            let key = if column.starts_with("default") {
                "role_id"
            } else {
                column
            };
            let sql = format!(
                "SELECT COUNT(*) FROM {table} WHERE {column} IS NOT NULL \
                 AND {column} NOT IN (SELECT {key} FROM {parent})"
            );
            let rows = count(db, &sql).await;
            if rows > 0 {
                found.push(format!("{table}.{column}: {rows}"));
            }
        }
    }
    found
}

/// Messages are deleted after what they belong to, in steps.
async fn until_no_orphans(db: &Database) {
    let mut left = orphans(db).await;
    for _ in 0..200 {
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = orphans(db).await;
    }
    panic!("left behind: {left:?}");
}

/// What belongs to a deleted guild is deleted in steps.
async fn until_nothing_names(db: &Database, id: &str) {
    let mut left = rows_that_name(db, id).await;
    for _ in 0..200 {
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = rows_that_name(db, id).await;
    }
    panic!("left behind: {left:?}");
}

/// The tables that still name an id anywhere.
async fn rows_that_name(db: &Database, id: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (table, columns) in tables(db).await {
        if RECORDS.contains(&table.as_str()) {
            continue;
        }
        for column in columns {
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE CAST({column} AS TEXT) = '{id}'");
            if count(db, &sql).await > 0 {
                found.push(format!("{table}.{column}"));
            }
        }
    }
    found
}

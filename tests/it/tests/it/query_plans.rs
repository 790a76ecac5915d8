//! What statements cost once the tables are large. Postgres itself says, by its `auto_explain`, how it has carried out each statement of the
//! product: no table that grows is read from end to end, and nothing that a client can ask for makes it look at more than a little.

use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

use filament_host::{
    config::{self, Inputs},
    database, event_log,
};
use filament_kernel::{
    clock::Clock,
    id::Ids,
    log::{EventLog, Stream},
};
use filament_test_support::{
    Backend, Channel, Guild, Person, Postgres, Server, TestDatabase, Visibility,
    backend::block_on,
    http::Method,
    people::{at, messages_of},
};
use filament_tests::crowd::{Crowd, Kind, id, nth_id};
use serde_json::{Value, json};

/// Rows in each table that grows without bound.
const ROWS: u32 = 60_000;

/// Members of the guild that is looked at: what is read of them at once when the guild is taken into memory.
const MEMBERS: u32 = 2_000;

/// Other guilds.
const GUILDS: u32 = 15_000;

/// How often each thing is asked for: after five times Postgres may plan a prepared statement once and for all values.
const TIMES: usize = 8;

/// Pages of 8 KiB that a statement may look at. The largest tables here have more than a thousand.
const MAX_PAGES: u64 = 400;

/// Pages of a table that may be read in the order in which they lie: to know whether there is any row at all, the first will do.
const MAX_PAGES_IN_A_ROW: u64 = 10;

/// Tables that grow with what people do.
const GROWING: [&str; 18] = [
    "audit_log",
    "channel_member_overrides",
    "channel_role_overrides",
    "channels",
    "event_streams",
    "events",
    "guild_addresses",
    "guild_bans",
    "guild_ip_bans",
    "guild_member_roles",
    "guild_members",
    "guilds",
    "idempotency_keys",
    "message_emoji",
    "messages",
    "reactions",
    "roles",
    "users",
];

/// Statements that look at much, and why they may. Each is named by a part of its text.
const EXCEPTIONS: [(&str, &str); 2] = [
    (
        r#"MAX("event_streams"."updated_at_ms")"#,
        "once at a start; an index would be written at every commit",
    ),
    (
        r#""guilds"."name_key" LIKE"#,
        "a part of a name has no order; public guilds are few beside what they hold",
    ),
];

#[test]
fn no_statement_reads_a_table_that_grows_from_end_to_end() {
    block_on(async {
        let Some(postgres) = Postgres::fast().await else {
            return;
        };
        let postgres = Arc::new(postgres);
        let database = postgres.create_database().await;
        let mut town = Town::found(&database).await;
        town.grow(&database).await;
        explain_from_now_on(&database).await;
        town.server.restart().await;
        town.live().await;
        until_housekeeping_is_done(&database).await;
        town.server.terminate().await;
        read_the_log(&database, &town.guild).await;

        let plans = plans(&postgres);
        let mut seen = BTreeSet::new();
        let mut wrong = BTreeSet::new();
        for plan in &plans {
            plan.nodes(&mut |node| {
                seen.extend(node["Relation Name"].as_str().map(ToOwned::to_owned));
            });
            if EXCEPTIONS.iter().any(|(part, _)| plan.query.contains(part)) {
                continue;
            }
            wrong.extend(
                plan.complaint()
                    .map(|what| format!("{what}: {}", plan.query)),
            );
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        for table in GROWING {
            assert!(seen.contains(table), "no statement has used {table}");
        }
        for (part, _) in EXCEPTIONS {
            assert!(
                plans.iter().any(|plan| plan.query.contains(part)),
                "no statement holds {part} any more"
            );
        }
    });
}

/// People who use all of the product.
struct Town {
    server: Server,
    ada: Person,
    bob: Person,
    guild: Guild,
    channel: Channel,
}

impl Town {
    async fn found(database: &TestDatabase) -> Self {
        let server = Server::builder(Backend::Postgres)
            .database(database.clone())
            .env("FILAMENT_TRUSTED_PROXY_CIDRS", "127.0.0.0/8")
            .start()
            .await;
        let ada = Person::register(&server, "ada").await;
        let bob = Person::register(&server, "bob").await;
        let guild = ada.found_guild("engines", Visibility::Public).await;
        let channel = ada.open_channel(&guild, "general").await;
        ada.say(&guild, &channel, "the first of many").await;
        Self {
            server,
            ada,
            bob,
            guild,
            channel,
        }
    }

    /// Lets years pass.
    async fn grow(&self, database: &TestDatabase) {
        let crowd = Crowd::of(database).await;
        crowd.messages(&self.guild, &self.channel, ROWS).await;
        crowd.users(&self.ada, ROWS).await;
        crowd.members(&self.guild, MEMBERS).await;
        let nobody = nth_id(Kind::User, MEMBERS + 1);
        crowd.guilds(&self.guild, &nobody, GUILDS).await;
        self.react(&crowd).await;
        self.moderate(&crowd).await;
        let (ada, user) = (&self.ada.user_id, id(Kind::User, "n"));
        crowd
            .run(&format!(
                "INSERT INTO idempotency_keys (user_id, key_hash, fingerprint, server_id, created_at_ms) \
                 SELECT CASE WHEN n < 9000 THEN '{ada}' ELSE {user} END, sha256(n::text::bytea), sha256(''), '', \
                 EXTRACT(epoch FROM now()) * 1000 FROM generate_series(1, {ROWS}) n; \
                 INSERT INTO event_streams (stream, last_number, updated_at_ms) \
                 SELECT 'user:' || {user}, 0, 0 FROM generate_series(1, {ROWS}) n"
            ))
            .await;
        crowd.settle().await;
    }

    /// Every message has an emoji, which 200 people have set under each of the latest ones.
    async fn react(&self, crowd: &Crowd) {
        let channel = &self.channel.channel_id;
        let (message, listed) = (id(Kind::Message, "n"), id(Kind::User, "m"));
        let latest = id(Kind::Message, &format!("{ROWS} - n / 200"));
        let member = id(Kind::User, "1 + n % 200");
        crowd
            .run(&format!(
                "INSERT INTO message_emoji (channel_id, message_id, emoji, place, count, last_place, first_user_ids) \
                 SELECT '{channel}', {message}, 'x', 1, 200, 200, \
                 (SELECT string_agg({listed}, '' ORDER BY m) FROM generate_series(1, 32) m) \
                 FROM generate_series(1, {ROWS}) n; \
                 UPDATE messages SET emoji = 1, last_emoji_place = 1 \
                 WHERE channel_id = '{channel}' AND message_id < '1'; \
                 INSERT INTO reactions (channel_id, user_id, message_id, emoji, place) \
                 SELECT '{channel}', {member}, {latest}, 'x', 1 + n % 200 FROM generate_series(0, {ROWS} - 1) n"
            ))
            .await;
    }

    /// Overrides, bans and what the audit log says of them: as many in this guild as in all others, as far as one guild may have so many.
    async fn moderate(&self, crowd: &Crowd) {
        let ada = &self.ada.user_id;
        let (user, row) = (id(Kind::User, "n"), id(Kind::Other, "n"));
        let nth_of_others = format!("1 + n % {GUILDS}");
        let other = id(Kind::Guild, &nth_of_others);
        let channel = id(Kind::Channel, &nth_of_others);
        let role = id(Kind::Role, &format!("({nth_of_others}) * 100"));
        crowd
            .run(&format!(
                "INSERT INTO guild_ip_bans (guild_id, ban_id, address, source_user_id, banned_by, reason, created_at) \
                 SELECT {other}, {row}, '192.0.2.' || n, {user}, '{ada}', '', 0 FROM generate_series(1, {ROWS}) n; \
                 INSERT INTO channel_role_overrides (guild_id, channel_id, role_id, allow, deny) \
                 SELECT {other}, {channel}, {role}, 1, 0 FROM generate_series(1, {GUILDS}) n; \
                 INSERT INTO channel_member_overrides (guild_id, channel_id, user_id, allow, deny) \
                 SELECT {other}, {channel}, {user}, 1, 0 FROM generate_series(1, {ROWS}) n"
            ))
            .await;
        let this = format!("'{}'", self.guild.guild_id);
        for (place, guild) in [this, other].iter().enumerate() {
            let entry = id(Kind::Other, &format!("n * 10 + {place}"));
            crowd
                .run(&format!(
                    "INSERT INTO audit_log (audit_id, at_ms, action, actor_user_id, guild_id) \
                     SELECT {entry}, 0, CASE n % 5000 WHEN 0 THEN 'role.create' ELSE 'member.kick' END, '{ada}', {guild} \
                     FROM generate_series(1, {ROWS}) n; \
                     INSERT INTO guild_bans (guild_id, user_id, banned_by, reason, created_at) \
                     SELECT {guild}, {user}, '{ada}', '', 0 FROM generate_series({MEMBERS} + 1, {ROWS}) n; \
                     INSERT INTO guild_addresses (guild_id, user_id, address, seen_at) \
                     SELECT {guild}, {user}, '192.0.2.1', EXTRACT(epoch FROM now()) FROM generate_series(1, {ROWS}) n"
                ))
                .await;
        }
    }

    /// Does everything that people do, several times.
    async fn live(&self) {
        let Self {
            server,
            ada,
            bob,
            guild,
            channel,
        } = self;
        bob.join(guild).await;
        let role = ada.make_role(guild, "smith", &["create_message"]).await;
        for time in 0..TIMES {
            self.read(time).await;
            self.write(time).await;
            for (who, name) in [(ada, "ada"), (bob, "bob")] {
                Person::log_in(server, name).await.log_out().await;
                assert!(!who.guilds().await.is_empty());
            }
            ada.give_role(guild, &role, bob).await.expect(200);
            ada.set_override(
                guild,
                channel,
                &format!("member/{}", bob.user_id),
                &[],
                &["publish_video"],
            )
            .await
            .expect(200);
            ada.set_override(
                guild,
                channel,
                &format!("role/{}", role.role_id),
                &[],
                &["publish_video"],
            )
            .await
            .expect(200);
            ada.make(guild, bob, "moderator").await.expect(200);
            ada.kick(guild, bob).await.expect(200);
            self.ban(time).await;
        }
        let role = at(guild, &format!("/roles/{}", role.role_id));
        ada.api.delete(&role).await.expect(200);
        let other = ada.open_channel(guild, "short-lived").await;
        ada.say(guild, &other, "not for long").await;
        let path = at(guild, &format!("/channels/{}", other.channel_id));
        ada.api.delete(&path).await.expect(200);
        let doomed = ada.found_guild("short-lived", Visibility::Private).await;
        ada.api.delete(&at(&doomed, "")).await.expect(200);
    }

    /// Bans somebody in both ways, and forgives them.
    async fn ban(&self, time: usize) {
        let (ada, bob, guild) = (&self.ada, &self.bob, &self.guild);
        let (one, other) = (format!("192.0.2.{time}"), format!("198.51.100.{time}"));
        bob.try_join_from(&one, guild).await.expect(200);
        let ban = json!({ "target_user_id": bob.user_id });
        let banned = ada.api.post(&at(guild, "/ip-bans/by-user"), ban).await;
        let banned: Value = banned.expect(200).read();
        ada.ban(guild, bob).await.expect(200);
        bob.try_join_from(&other, guild)
            .await
            .expect_error(403, "directory_join_user_banned");
        for path in [
            format!("/bans/{}", bob.user_id),
            format!("/ip-bans/{}", banned["ban_ids"][0].as_str().expect("an id")),
        ] {
            ada.api.delete(&at(guild, &path)).await.expect(200);
        }
        bob.try_join_from(&other, guild).await.expect(200);
    }

    /// Looks at everything there is in pages, at the first and at a later one.
    async fn read(&self, time: usize) {
        let (ada, guild) = (&self.ada, &self.guild);
        let time = u32::try_from(time).expect("a few");
        let message = nth_id(Kind::Message, ROWS / 2 + time);
        let member = nth_id(Kind::User, MEMBERS / 2 + time);
        let banned = nth_id(Kind::User, ROWS / 2 + time);
        let entry = nth_id(Kind::Other, ROWS * 5 + time);
        let messages = messages_of(guild, &self.channel);
        for path in [
            messages.clone(),
            format!("{messages}?limit=100"),
            format!("{messages}?limit=100&before={message}"),
            at(guild, "/members?limit=100"),
            at(guild, &format!("/members?limit=100&cursor={member}")),
            at(guild, "/roles"),
            at(guild, "/channels"),
            at(guild, "/bans?limit=100"),
            at(guild, &format!("/bans?limit=100&cursor={banned}")),
            at(guild, "/ip-bans"),
            at(guild, "/audit?limit=100"),
            at(guild, &format!("/audit?limit=100&cursor={entry}")),
            at(guild, "/audit?limit=20&action_prefix=member."),
            at(guild, "/audit?limit=20&action_prefix=role."),
            at(guild, &format!("/audit?action_prefix=role.&cursor={entry}")),
            "/guilds".to_owned(),
            "/guilds/public".to_owned(),
            "/guilds/public?q=gines%201".to_owned(),
            "/guilds/public?q=absent".to_owned(),
            format!("/users/{member}/profile"),
        ] {
            ada.api.get(&path).await.expect(200);
        }
        let names = json!({ "user_ids": [member, banned] });
        ada.api.post("/users/lookup", names).await.expect(200);
        ada.listen_in(guild, &self.channel).await.close().await;
    }

    /// Writes, changes what was written, reacts to it, and takes it back.
    async fn write(&self, time: usize) {
        let (ada, guild, channel) = (&self.ada, &self.guild, &self.channel);
        let sent = ada.say(guild, channel, "hello").await;
        let once = ada
            .api
            .request(Method::POST, &messages_of(guild, channel))
            .header("idempotency-key", format!("key-{time}"))
            .json(&json!({ "content": "once" }));
        ada.api.send(once).await.expect(200);
        let path = |message: &str| format!("{}/{message}", messages_of(guild, channel));
        let old = nth_id(Kind::Message, ROWS - u32::try_from(time).expect("a few"));
        for message in [&sent.message_id, &old] {
            let reaction = format!("{}/reactions/x", path(message));
            ada.api.post_nothing(&reaction).await.expect(200);
            ada.api.delete(&reaction).await.expect(200);
        }
        let sent = path(&sent.message_id);
        let edited = json!({ "content": "hello again" });
        ada.api.patch(&sent, edited).await.expect(200);
        ada.api.delete(&sent).await.expect(204);
        ada.api.delete(&path(&old)).await.expect(204);
    }
}

/// Waits until the messages of the channel that was deleted are deleted too.
async fn until_housekeeping_is_done(database: &TestDatabase) {
    let crowd = Crowd::of(database).await;
    let left = "SELECT count(*) FROM doomed_channels";
    while crowd.number(left).await > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What reads the log for those who were away.
async fn read_the_log(database: &TestDatabase, guild: &Guild) {
    let loaded = config::load(&[], &[], &Inputs::default()).expect("defaults");
    let db = database::connect(&database.url, &loaded.host.database)
        .await
        .expect("connect");
    let (backend, _, _) = event_log::start(&db, &Clock::default(), &Arc::new(Ids::default()))
        .await
        .expect("start");
    let log = EventLog::new(Arc::new(backend));
    let stream = Stream::Guild(guild.guild_id.parse().expect("an id"));
    for time in 0..TIMES {
        let head = log.head(stream).await.expect("head");
        for after in [0, i64::from(ROWS / 2), head - 1] {
            let after = after - i64::try_from(time).expect("a few");
            assert!(!log.read(stream, after, 100).await.expect("read").is_empty());
        }
    }
    db.close().await.expect("closes");
}

/// Connections that are opened from now on have every plan written to the log of Postgres, as it was carried out; those of foreign keys too.
async fn explain_from_now_on(database: &TestDatabase) {
    let name = database.url.rsplit('/').next().expect("a name");
    let crowd = Crowd::of(database).await;
    for setting in [
        "session_preload_libraries = auto_explain",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on",
        "auto_explain.log_buffers = on",
        "auto_explain.log_timing = off",
        "auto_explain.log_nested_statements = on",
        "auto_explain.log_format = json",
    ] {
        crowd
            .run(&format!("ALTER DATABASE {name} SET {setting}"))
            .await;
    }
}

/// How Postgres has carried out a statement.
struct Plan {
    query: String,
    root: Value,
}

/// Every plan in the log. An entry's first line begins with a time, the others with a tab.
fn plans(postgres: &Postgres) -> Vec<Plan> {
    let log = fs::read_to_string(postgres.dir().join("postgres.log")).expect("the log");
    let mut plans = Vec::new();
    let mut lines = log.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.ends_with(" plan:") {
            continue;
        }
        let mut text = String::new();
        while let Some(more) = lines.next_if(|line| line.starts_with('\t')) {
            text.push_str(more);
        }
        let plan: Value = serde_json::from_str(&text).expect("a plan");
        plans.push(Plan {
            query: plan["Query Text"].as_str().expect("a text").to_owned(),
            root: plan["Plan"].clone(),
        });
    }
    plans
}

impl Plan {
    /// What is wrong with it.
    fn complaint(&self) -> Option<String> {
        let mut scanned = None;
        self.nodes(&mut |node| {
            let table = node["Relation Name"].as_str().unwrap_or_default();
            let kind = node["Node Type"].as_str().unwrap_or_default();
            let is_scan = kind.ends_with("Seq Scan") && GROWING.contains(&table);
            if is_scan && pages(node) > MAX_PAGES_IN_A_ROW {
                scanned = Some(format!("reads all of {table}"));
            }
        });
        let pages = pages(&self.root);
        scanned.or_else(|| (pages > MAX_PAGES).then(|| format!("looks at {pages} pages")))
    }

    fn nodes(&self, see: &mut impl FnMut(&Value)) {
        let mut rest = vec![&self.root];
        while let Some(node) = rest.pop() {
            see(node);
            rest.extend(node["Plans"].as_array().into_iter().flatten());
        }
    }
}

/// The pages that a node of a plan has looked at, with those below it.
fn pages(node: &Value) -> u64 {
    ["Shared Hit Blocks", "Shared Read Blocks"]
        .iter()
        .filter_map(|key| node[key].as_u64())
        .sum()
}

//! A Postgres database as it is after years: rows by the hundred thousand, made inside the database, because the product would take hours for
//! them. They are copies of what the product itself has stored, under new ids, so it reads them as its own and goes on from them.

use filament_test_support::{Channel, Guild, Person, TestDatabase};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};

/// What an id is of; ids of different kinds differ.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub enum Kind {
    Message = 1,
    User = 2,
    Guild = 3,
    Role = 4,
    Channel = 5,
    Other = 6,
}

/// An expression of SQL for the id that is number `n`, which is one itself, of its kind: a ULID, older than all that the product makes.
pub fn id(kind: Kind, n: &str) -> String {
    format!("('0{}' || lpad(({n})::text, 24, '0'))", kind as u8)
}

/// The same id, as text.
pub fn nth_id(kind: Kind, n: u32) -> String {
    format!("0{}{n:024}", kind as u8)
}

/// A database that is being filled.
pub struct Crowd {
    db: DatabaseConnection,
}

impl Crowd {
    /// Opens a migrated database. A server that runs on it may not know of what is put into it before it is started again.
    pub async fn of(database: &TestDatabase) -> Self {
        let db = Database::connect(&database.url).await.expect("a database");
        Self { db }
    }

    /// Runs statements as they are.
    pub async fn run(&self, sql: &str) {
        let done = self.db.execute_unprepared(sql).await;
        done.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// The one number that a query answers.
    pub async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        let row = self.db.query_one_raw(statement).await;
        let row = row.unwrap_or_else(|error| panic!("{error}: {sql}"));
        let row = row.expect("a row");
        row.try_get_by_index(0).expect("a number")
    }

    /// `count` messages in a channel, with their events: copies of the last, which must be the guild's last event too.
    pub async fn messages(&self, guild: &Guild, channel: &Channel, count: u32) {
        let (stream, channel) = (format!("guild:{}", guild.guild_id), &channel.channel_id);
        let id = id(Kind::Message, "n");
        let last = format!(
            "SELECT * FROM messages WHERE channel_id = '{channel}' ORDER BY message_id DESC LIMIT 1"
        );
        self.run(&format!(
            "INSERT INTO events (stream, number, at_ms, name, channel_id, data) \
             SELECT e.stream, e.number + n, e.at_ms, e.name, e.channel_id, replace(e.data, m.message_id, {id}) \
             FROM ({last}) m, generate_series(1, {count}) n, \
             (SELECT * FROM events WHERE stream = '{stream}' ORDER BY number DESC LIMIT 1) e"
        ))
        .await;
        self.run(&format!(
            "UPDATE event_streams SET last_number = last_number + {count} WHERE stream = '{stream}'"
        ))
        .await;
        self.run(&format!(
            "INSERT INTO messages (channel_id, message_id, author_id, content, created_at) \
             SELECT m.channel_id, {id}, m.author_id, m.content, m.created_at \
             FROM ({last}) m, generate_series(1, {count}) n"
        ))
        .await;
    }

    /// `count` accounts like somebody's. Their ids are those of [`Kind::User`] from 1.
    pub async fn users(&self, like: &Person, count: u32) {
        let id = id(Kind::User, "n");
        self.run(&format!(
            "INSERT INTO users (user_id, username, username_key, password_hash, about_markdown, avatar_version, banner_version, created_at_ms) \
             SELECT {id}, username || '.' || n, username_key || '.' || n, password_hash, about_markdown, 0, 0, created_at_ms \
             FROM users, generate_series(1, {count}) n WHERE user_id = '{}'",
            like.user_id
        ))
        .await;
    }

    /// Makes the first `count` of [`Crowd::users`] members of a guild, with the role `member`.
    pub async fn members(&self, guild: &Guild, count: u32) {
        let (guild, id) = (&guild.guild_id, id(Kind::User, "n"));
        self.run(&format!(
            "INSERT INTO guild_members (guild_id, user_id, joined_at) \
             SELECT '{guild}', {id}, 0 FROM generate_series(1, {count}) n; \
             INSERT INTO guild_member_roles (guild_id, user_id, role_id) \
             SELECT guild_id, {id}, role_id FROM roles, generate_series(1, {count}) n \
             WHERE guild_id = '{guild}' AND kind = 'member'; \
             UPDATE guilds SET member_count = member_count + {count} WHERE guild_id = '{guild}'"
        ))
        .await;
    }

    /// `count` guilds like one, with a channel each and the user `owner` as their only member. Their ids are those of [`Kind::Guild`] and
    /// [`Kind::Channel`] from 1.
    pub async fn guilds(&self, like: &Guild, owner: &str, count: u32) {
        let like = &like.guild_id;
        let (guild, channel) = (id(Kind::Guild, "n"), id(Kind::Channel, "n"));
        let role = id(Kind::Role, "n * 100 + position");
        self.run(&format!(
            "INSERT INTO guilds (guild_id, name, name_key, visibility, created_by, created_at, member_count) \
             SELECT {guild}, name || ' ' || n, name_key || ' ' || n, visibility, created_by, created_at, 1 \
             FROM guilds, generate_series(1, {count}) n WHERE guild_id = '{like}'; \
             INSERT INTO roles (guild_id, role_id, kind, name, position, permissions) \
             SELECT {guild}, {role}, kind, name, position, permissions \
             FROM roles, generate_series(1, {count}) n WHERE guild_id = '{like}'; \
             INSERT INTO channels (guild_id, channel_id, name, kind, created_at) \
             SELECT {guild}, {channel}, 'general', 'text', 0 FROM generate_series(1, {count}) n; \
             INSERT INTO guild_members (guild_id, user_id, joined_at) \
             SELECT {guild}, '{owner}', 0 FROM generate_series(1, {count}) n; \
             INSERT INTO guild_member_roles (guild_id, user_id, role_id) \
             SELECT {guild}, '{owner}', {role} \
             FROM roles, generate_series(1, {count}) n WHERE guild_id = '{like}' AND kind = 'workspace_owner'"
        ))
        .await;
    }

    /// Leaves the database as its own housekeeping would after a while, so that this does not run beside what is measured.
    pub async fn settle(&self) {
        self.run("VACUUM ANALYZE").await;
        self.run("CHECKPOINT").await;
    }
}

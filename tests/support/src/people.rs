//! A small language for stories.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    gateway::GatewayClient,
    http::{Answer, Api, Method},
    server::Server,
};

/// Everybody's password.
pub const PASSWORD: &str = "correct horse battery staple";

/// Who finds a guild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Its members.
    Private,
    /// Everybody, in the directory.
    Public,
}

/// A guild, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guild {
    pub guild_id: String,
    pub name: String,
    pub visibility: Visibility,
}

/// What a channel is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelKind {
    Text,
    Voice,
}

/// A channel, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub channel_id: String,
    pub name: String,
    pub kind: ChannelKind,
    pub topic: String,
}

/// A role, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    pub role_id: String,
    pub name: String,
    pub position: i64,
    pub is_system: bool,
    pub permissions: Vec<String>,
    pub color_hex: Option<String>,
}

/// A message, as the API and the event `message_create` show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub message_id: String,
    pub guild_id: String,
    pub channel_id: String,
    pub author_id: String,
    pub content: String,
    pub markdown_tokens: Vec<Value>,
    pub attachments: Vec<Value>,
    pub reactions: Vec<Value>,
    pub created_at_unix: i64,
}

/// One page of a channel's history, newest first.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MessagePage {
    pub messages: Vec<Message>,
    pub next_before: Option<String>,
}

/// A request for friendship, as the API and the event `friend_request_create` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FriendRequest {
    pub request_id: String,
    pub sender_user_id: String,
    pub sender_username: String,
    pub recipient_user_id: String,
    pub recipient_username: String,
    pub created_at_unix: i64,
}

/// The requests of a person that wait for an answer, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct FriendRequests {
    pub incoming: Vec<FriendRequest>,
    pub outgoing: Vec<FriendRequest>,
}

/// What a log-in and a refresh give.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Session {
    pub access_token: String,
    pub refresh_token: String,
    pub expires_in_secs: u64,
}

impl Session {
    /// The id of the session, which its refresh token begins with.
    pub fn id(&self) -> &str {
        let parts = self.refresh_token.split_once('.');
        parts.expect("an id and a secret").0
    }
}

/// Somebody with an account, logged in. A person outlives restarts of the server, which keeps its address.
pub struct Person {
    /// The username.
    pub name: String,
    /// The user's id.
    pub user_id: String,
    /// The tokens.
    pub session: Session,
    /// The API as this person.
    pub api: Api,
}

/// Where a guild is; `below` begins with `/` or is empty.
pub fn at(guild: &Guild, below: &str) -> String {
    format!("/guilds/{}{below}", guild.guild_id)
}

/// Where the messages of a channel are.
pub fn messages_of(guild: &Guild, channel: &Channel) -> String {
    format!(
        "/guilds/{}/channels/{}/messages",
        guild.guild_id, channel.channel_id
    )
}

impl Person {
    /// Registers and logs in.
    pub async fn register(server: &Server, name: &str) -> Self {
        let account = json!({ "username": name, "password": PASSWORD });
        server
            .api()
            .post("/auth/register", &account)
            .await
            .expect(200);
        Self::log_in(server, name).await
    }

    /// Logs in: another session of somebody who is registered.
    pub async fn log_in(server: &Server, name: &str) -> Self {
        let account = json!({ "username": name, "password": PASSWORD });
        let session: Session = server.api().post("/auth/login", &account).await.read();
        let api = server.api().with_token(&session.access_token);
        let profile = api.get("/auth/me").await.expect(200);
        assert_eq!(profile.body["username"], name);
        let user_id = profile.body["user_id"]
            .as_str()
            .expect("a profile has a user_id");
        Self {
            name: name.to_owned(),
            user_id: user_id.to_owned(),
            session,
            api,
        }
    }

    /// Takes new tokens for the old ones.
    pub async fn refresh(&mut self) {
        let old = json!({ "refresh_token": self.session.refresh_token });
        self.session = self
            .api
            .without_token()
            .post("/auth/refresh", old)
            .await
            .read();
        self.api = self.api.with_token(&self.session.access_token);
    }

    /// Ends the session.
    pub async fn log_out(&self) {
        let token = json!({ "refresh_token": self.session.refresh_token });
        self.api.post("/auth/logout", token).await.expect(204);
    }

    /// Founds a guild.
    pub async fn found_guild(&self, name: &str, visibility: Visibility) -> Guild {
        let guild = json!({ "name": name, "visibility": visibility });
        self.api.post("/guilds", guild).await.read()
    }

    /// Opens a text channel.
    pub async fn open_channel(&self, guild: &Guild, name: &str) -> Channel {
        self.open_channel_of(ChannelKind::Text, guild, name).await
    }

    /// Opens a channel of a kind.
    pub async fn open_channel_of(&self, kind: ChannelKind, guild: &Guild, name: &str) -> Channel {
        let channel = json!({ "name": name, "kind": kind });
        let path = format!("/guilds/{}/channels", guild.guild_id);
        self.api.post(&path, channel).await.read()
    }

    /// Joins a public guild.
    pub async fn join(&self, guild: &Guild) {
        let path = format!("/guilds/{}/join", guild.guild_id);
        let answer = self.api.post_nothing(&path).await.expect(200);
        assert_eq!(
            answer.body,
            json!({ "guild_id": guild.guild_id, "outcome": "accepted" })
        );
    }

    /// The guilds that this person is in.
    pub async fn guilds(&self) -> Vec<Guild> {
        #[derive(Deserialize)]
        struct Guilds {
            guilds: Vec<Guild>,
        }
        self.api.get("/guilds").await.read::<Guilds>().guilds
    }

    /// The channels of a guild that this person sees.
    pub async fn channels(&self, guild: &Guild) -> Vec<Channel> {
        #[derive(Deserialize)]
        struct Channels {
            channels: Vec<Channel>,
        }
        let path = format!("/guilds/{}/channels", guild.guild_id);
        self.api.get(&path).await.read::<Channels>().channels
    }

    /// Says something over HTTP.
    pub async fn say(&self, guild: &Guild, channel: &Channel, content: &str) -> Message {
        let message = json!({ "content": content });
        self.api
            .post(&messages_of(guild, channel), message)
            .await
            .read()
    }

    /// One page of the history; `query` begins with `?` or is empty.
    pub async fn history_page(&self, guild: &Guild, channel: &Channel, query: &str) -> MessagePage {
        let path = format!("{}{query}", messages_of(guild, channel));
        self.api.get(&path).await.read()
    }

    /// The whole history, oldest first, read page by page.
    pub async fn history(&self, guild: &Guild, channel: &Channel) -> Vec<Message> {
        let mut query = "?limit=100".to_owned();
        let mut messages = Vec::new();
        loop {
            let page = self.history_page(guild, channel, &query).await;
            messages.extend(page.messages);
            match page.next_before {
                Some(before) => query = format!("?limit=100&before={before}"),
                None => break,
            }
        }
        messages.reverse();
        messages
    }

    /// Asks somebody for a friendship.
    pub async fn ask_friendship(&self, other: &Person) -> FriendRequest {
        let request = json!({ "recipient_user_id": other.user_id });
        self.api.post("/friends/requests", request).await.read()
    }

    /// Accepts somebody's request for friendship.
    pub async fn accept(&self, request: &FriendRequest) {
        let path = format!("/friends/requests/{}/accept", request.request_id);
        let answer = self.api.post_nothing(&path).await.expect(200);
        assert_eq!(answer.body, json!({ "accepted": true }));
    }

    /// Makes a friend of somebody who is none.
    pub async fn befriend(&self, other: &Person) {
        let request = self.ask_friendship(other).await;
        other.accept(&request).await;
    }

    /// The ids of this person's friends.
    pub async fn friends(&self) -> Vec<String> {
        let answer = self.api.get("/friends").await.expect(200);
        user_ids(&answer.body["friends"])
    }

    /// The requests of this person that wait for an answer.
    pub async fn friend_requests(&self) -> FriendRequests {
        self.api.get("/friends/requests").await.read()
    }

    /// Blocks somebody.
    pub async fn block(&self, other: &Person) {
        let path = format!("/blocks/{}", other.user_id);
        self.api.post_nothing(&path).await.expect(204);
    }

    /// Lifts a block.
    pub async fn unblock(&self, other: &Person) {
        let path = format!("/blocks/{}", other.user_id);
        self.api.delete(&path).await.expect(204);
    }

    /// The ids of those whom this person has blocked.
    pub async fn blocked(&self) -> Vec<String> {
        let answer = self.api.get("/blocks").await.expect(200);
        user_ids(&answer.body["blocked"])
    }

    /// Opens a socket and reads its `ready`.
    pub async fn listen(&self) -> GatewayClient {
        let mut socket = GatewayClient::connect(&self.api).await;
        let ready = socket.expect("ready").await;
        assert_eq!(ready.data["user_id"], *self.user_id);
        socket
    }

    /// Opens a socket and looks at a channel.
    pub async fn listen_in(&self, guild: &Guild, channel: &Channel) -> GatewayClient {
        let mut socket = self.listen().await;
        socket.subscribe(guild, channel).await;
        socket
    }

    /// The roles of a guild, the mightiest first.
    pub async fn roles(&self, guild: &Guild) -> Vec<Role> {
        #[derive(Deserialize)]
        struct Roles {
            roles: Vec<Role>,
        }
        let answer = self.api.get(&at(guild, "/roles")).await;
        answer.read::<Roles>().roles
    }

    /// The guild's role of this name.
    pub async fn role_named(&self, guild: &Guild, name: &str) -> Role {
        let roles = self.roles(guild).await;
        let found = roles.iter().find(|role| role.name == name);
        found
            .cloned()
            .unwrap_or_else(|| panic!("no role {name} in {roles:?}"))
    }

    /// Makes a role at the bottom.
    pub async fn make_role(&self, guild: &Guild, name: &str, permissions: &[&str]) -> Role {
        let role = json!({ "name": name, "permissions": permissions });
        self.api.post(&at(guild, "/roles"), role).await.read()
    }

    /// Gives somebody a role.
    pub async fn give_role(&self, guild: &Guild, role: &Role, to: &Person) -> Answer {
        let path = format!("/roles/{}/members/{}", role.role_id, to.user_id);
        self.api.post_nothing(&at(guild, &path)).await
    }

    /// Takes a role from somebody.
    pub async fn take_role(&self, guild: &Guild, role: &Role, from: &Person) -> Answer {
        let path = format!("/roles/{}/members/{}", role.role_id, from.user_id);
        self.api.delete(&at(guild, &path)).await
    }

    /// Makes somebody `owner`, `moderator` or `member`.
    pub async fn make(&self, guild: &Guild, who: &Person, standing: &str) -> Answer {
        let path = format!("/members/{}", who.user_id);
        let body = json!({ "role": standing });
        self.api.patch(&at(guild, &path), body).await
    }

    /// Kicks somebody.
    pub async fn kick(&self, guild: &Guild, who: &Person) -> Answer {
        let path = format!("/members/{}/kick", who.user_id);
        self.api.post_nothing(&at(guild, &path)).await
    }

    /// Bans somebody, as clients do it: without a body.
    pub async fn ban(&self, guild: &Guild, who: &Person) -> Answer {
        let path = format!("/members/{}/ban", who.user_id);
        self.api.post_nothing(&at(guild, &path)).await
    }

    /// Asks to join a guild from an address; the server must trust this machine as a proxy.
    pub async fn try_join_from(&self, address: &str, guild: &Guild) -> Answer {
        let request = self.api.request(Method::POST, &at(guild, "/join"));
        self.api
            .send(request.header("x-forwarded-for", address))
            .await
    }

    /// Lets a channel say something about a role or a member; `whom` is `role/<id>` or `member/<id>`.
    pub async fn set_override(
        &self,
        guild: &Guild,
        channel: &Channel,
        whom: &str,
        allow: &[&str],
        deny: &[&str],
    ) -> Answer {
        let path = format!(
            "/channels/{}/permission-overrides/{whom}",
            channel.channel_id
        );
        let body = json!({ "allow": allow, "deny": deny });
        self.api.post(&at(guild, &path), body).await
    }

    /// What this person is in the guild and may do in a channel: `{role, permissions}`.
    pub async fn rights(&self, guild: &Guild, channel: &Channel) -> Answer {
        let path = format!("/channels/{}/permissions/self", channel.channel_id);
        self.api.get(&at(guild, &path)).await
    }
}

/// The `user_id` of every entry.
fn user_ids(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("a list");
    list.iter()
        .map(|entry| entry["user_id"].as_str().expect("a user_id").to_owned())
        .collect()
}

use std::sync::Arc;

use filament_kernel::{
    Caller,
    audit::AuditRecord,
    http::{JsonBytes, Origin, Valid},
    id::{AuditId, ChannelId, GuildId, IpBanId, UserId},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;
use serde_json::{Map, Value};
use validator::Validate;

use super::{Accepted, Answer, Tag, accepted};
use crate::{
    access::Actor,
    changes,
    domain::{
        act::Act,
        ban::{Ban, EXPIRES_IN_SECS_MAX, IpBan, Terms},
        name,
    },
    page::{self, Page},
    state::State,
    store,
};

pub struct Moderation(pub(super) Arc<State>);

/// Whose addresses are to be banned, why and for how long.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct AddressBanCreate {
    target_user_id: UserId,
    /// At most 240 UTF-16 code units.
    #[validate(custom(function = "name::reason"))]
    reason: Option<String>,
    /// 1 to 15552000 (180 days); without an end if not given.
    #[validate(range(min = 1, max = EXPIRES_IN_SECS_MAX))]
    expires_in_secs: Option<u32>,
}

/// What came of it.
#[derive(Debug, Object, Serialize)]
struct AddressBansCreated {
    /// How many addresses were not banned before.
    created_count: usize,
    /// The bans of all of the user's addresses, also of those that were banned before.
    ban_ids: Vec<IpBanId>,
}

/// Banned addresses, without the addresses; newest first.
#[derive(Debug, Object, Serialize)]
struct AddressBanPage {
    bans: Vec<IpBan>,
    /// Where the next page begins; null on the last.
    #[oai(nullable)]
    next_cursor: Option<IpBanId>,
}

/// Banned users, in the order of their ids.
#[derive(Debug, Object, Serialize)]
struct BanPage {
    bans: Vec<Ban>,
    /// Where the next page begins; null on the last.
    #[oai(nullable)]
    next_cursor: Option<UserId>,
}

/// Something that was done in a guild.
#[derive(Debug, Object, Serialize)]
struct AuditEvent {
    audit_id: AuditId,
    /// Null for the server itself.
    #[oai(nullable)]
    actor_user_id: Option<UserId>,
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    target_user_id: Option<UserId>,
    /// Dotted words: `member.kick`.
    action: String,
    created_at_unix: i64,
    /// More about it; what it holds depends on the action.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
    /// Whether somebody was kept out by the ban of an address.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_ban_match: Option<bool>,
}

/// A page of a guild's audit log, newest first.
#[derive(Debug, Object, Serialize)]
struct AuditPage {
    events: Vec<AuditEvent>,
    /// Where the next page begins; null on the last.
    #[oai(nullable)]
    next_cursor: Option<AuditId>,
}

const AUDIT_DEFAULT: u64 = 20;
const BANS_DEFAULT: u64 = 50;
const BANS_MAX: u64 = 200;

#[OpenApi]
impl Moderation {
    /// Read a guild's audit log
    ///
    /// Takes `view_audit_log`. Newest first. No entry holds an address, and details of a channel are for who sees it; those of a channel
    /// that is deleted, for owners.
    ///
    /// - 403: `audit_access_denied`: the caller lacks `view_audit_log`
    #[oai(
        path = "/guilds/:guild_id/audit",
        method = "get",
        operation_id = "audit_list",
        tag = "Tag::Moderation"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are the route's parts")]
    async fn audit_list(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<AuditId>>,
        /// How many at most: 1 to 100, 20 if not given.
        limit: Query<Option<u64>>,
        /// Only actions that begin with this, for example `member.`.
        #[oai(validator(pattern = "^[a-z0-9_.]{1,64}$"))]
        action_prefix: Query<Option<String>>,
    ) -> Answer<AuditPage> {
        let guild = guild_id.0;
        let reader = Actor::of(&self.0, caller.user_id, guild, Act::AuditList, origin).await?;
        let max = self.0.config.audit_list_limit_max.into();
        let limit = page::limit(limit.0, AUDIT_DEFAULT, max)?;
        let prefix = action_prefix.0.as_deref();
        let audit = &self.0.host.audit;
        let mut records = audit.of_guild(guild, cursor.0, prefix, limit + 1).await?;
        let more = page::trim(&mut records, limit);
        let next_cursor = records.last().filter(|_| more).map(|last| last.audit_id);
        page::write(AuditPage {
            events: records
                .into_iter()
                .map(|record| AuditEvent::seen(record, &reader))
                .collect(),
            next_cursor,
        })
    }

    /// List the users that are banned from a guild
    ///
    /// Takes `ban_member`. In the order of their ids; bans that have ended are not named.
    #[oai(
        path = "/guilds/:guild_id/bans",
        method = "get",
        operation_id = "ban_list",
        tag = "Tag::Moderation"
    )]
    async fn ban_list(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<UserId>>,
        /// How many at most: 1 to 200, 50 if not given.
        limit: Query<Option<u64>>,
    ) -> Answer<BanPage> {
        let guild = guild_id.0;
        Actor::of(&self.0, caller.user_id, guild, Act::BanList, origin).await?;
        let limit = page::limit(limit.0, BANS_DEFAULT, BANS_MAX)?;
        let (db, now) = (self.0.host.db.read(), self.0.host.clock.now_unix());
        let mut bans = store::bans::page(db, guild, cursor.0, limit + 1, now).await?;
        let more = page::trim(&mut bans, limit);
        let next_cursor = bans.last().filter(|_| more).map(|last| last.user_id);
        page::write(BanPage { bans, next_cursor })
    }

    /// Lift the ban of a user
    ///
    /// Takes `ban_member`, and a rank not below that of who has set it.
    #[oai(
        path = "/guilds/:guild_id/bans/:user_id",
        method = "delete",
        operation_id = "member_unban",
        tag = "Tag::Moderation"
    )]
    async fn member_unban(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        user_id: Path<UserId>,
    ) -> Answer<Accepted> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::MemberUnban,
            origin,
        );
        changes::member_unban(&self.0, actor.await?, user_id.0).await?;
        accepted()
    }

    /// List the addresses that are banned from a guild
    ///
    /// Takes `manage_ip_bans`. Newest first, and never an address: a ban is known by its id and by whose address it was.
    #[oai(
        path = "/guilds/:guild_id/ip-bans",
        method = "get",
        operation_id = "ip_ban_list",
        tag = "Tag::Moderation"
    )]
    async fn ip_ban_list(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<IpBanId>>,
        /// How many at most: 1 to 200, 50 if not given.
        limit: Query<Option<u64>>,
    ) -> Answer<AddressBanPage> {
        let guild = guild_id.0;
        Actor::of(&self.0, caller.user_id, guild, Act::IpBanList, origin).await?;
        let limit = page::limit(limit.0, BANS_DEFAULT, BANS_MAX)?;
        let (db, now) = (self.0.host.db.read(), self.0.host.clock.now_unix());
        let mut bans = store::ip_bans::page(db, guild, cursor.0, limit + 1, now).await?;
        let more = page::trim(&mut bans, limit);
        let next_cursor = bans.last().filter(|_| more).map(|last| last.ban_id);
        page::write(AddressBanPage { bans, next_cursor })
    }

    /// Ban the addresses of a user
    ///
    /// Takes `manage_ip_bans` and a rank above the user. Bans the addresses from which the user joined the guild or wrote in it in the last
    /// 90 days; nobody joins or writes from them any more, but for those who have `manage_ip_bans`.
    #[oai(
        path = "/guilds/:guild_id/ip-bans/by-user",
        method = "post",
        operation_id = "ip_ban_create",
        tag = "Tag::Moderation"
    )]
    async fn ip_ban_create(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        body: Valid<AddressBanCreate>,
    ) -> Answer<AddressBansCreated> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::IpBanCreate,
            origin,
        );
        let Valid(ban) = body;
        let terms = Terms {
            reason: ban.reason.unwrap_or_default(),
            expires_in_secs: ban.expires_in_secs,
        };
        let target = ban.target_user_id;
        let made = changes::ip_ban_create(&self.0, actor.await?, target, terms).await?;
        JsonBytes::of(&AddressBansCreated {
            created_count: made.created_count,
            ban_ids: made.ban_ids,
        })
    }

    /// Lift the ban of an address
    ///
    /// Takes `manage_ip_bans`.
    #[oai(
        path = "/guilds/:guild_id/ip-bans/:ban_id",
        method = "delete",
        operation_id = "ip_ban_delete",
        tag = "Tag::Moderation"
    )]
    async fn ip_ban_delete(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        ban_id: Path<IpBanId>,
    ) -> Answer<Accepted> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::IpBanDelete,
            origin,
        );
        changes::ip_ban_delete(&self.0, actor.await?, ban_id.0).await?;
        accepted()
    }
}

/// Whether somebody was kept out by the ban of an address, as `member.join_refused` notes it.
const ADDRESS_BAN_MATCH: &str = "address_ban_match";

impl AuditEvent {
    /// An entry as `reader` may see it.
    fn seen(record: AuditRecord, reader: &Actor) -> Self {
        let matched = record
            .details
            .as_ref()
            .and_then(|all| all.get(ADDRESS_BAN_MATCH));
        let sees = |channel| reader.may_know_of(channel);
        Self {
            audit_id: record.audit_id,
            actor_user_id: record.actor,
            target_user_id: record.target,
            action: record.action,
            created_at_unix: record.at_unix,
            ip_ban_match: matched.and_then(Value::as_bool),
            details: record
                .details
                .and_then(|details| without_hidden_channels(details, sees))
                .map(redacted),
        }
    }
}

/// Without what the reader may not know of channels: nothing is left of an entry about one that they do not see, and its place in an
/// order is left out.
fn without_hidden_channels(mut details: Value, sees: impl Fn(ChannelId) -> bool) -> Option<Value> {
    let is_seen = |id: &Value| {
        let id = id.as_str().and_then(|id| id.parse().ok());
        id.is_some_and(&sees)
    };
    if details.get("channel_id").is_some_and(|id| !is_seen(id)) {
        return None;
    }
    if let Some(Value::Array(ids)) = details.get_mut("channel_ids") {
        ids.retain(is_seen);
    }
    Some(details)
}

/// Without anything that is named like an address, at any depth: whoever writes an entry some day and forgets that members read it
/// gives nothing away.
fn redacted(details: Value) -> Value {
    let is_address = |key: &str| {
        let mut words = key.split(|c: char| !c.is_ascii_alphanumeric());
        words.any(|word| matches!(word, "ip" | "cidr" | "address" | "addr"))
    };
    match details {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(key, _)| !is_address(key))
            .map(|(key, value)| (key, redacted(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.into_iter().map(redacted).collect(),
        other => other,
    }
}

impl Page for AuditPage {
    fn len(&self) -> usize {
        self.events.len()
    }

    fn cut(&mut self, entries: usize) {
        self.events.truncate(entries);
        self.next_cursor = self.events.last().map(|last| last.audit_id);
    }
}

impl Page for BanPage {
    fn len(&self) -> usize {
        self.bans.len()
    }

    fn cut(&mut self, entries: usize) {
        self.bans.truncate(entries);
        self.next_cursor = self.bans.last().map(|last| last.user_id);
    }
}

impl Page for AddressBanPage {
    fn len(&self) -> usize {
        self.bans.len()
    }

    fn cut(&mut self, entries: usize) {
        self.bans.truncate(entries);
        self.next_cursor = self.bans.last().map(|last| last.ban_id);
    }
}

#[cfg(test)]
mod tests {
    use filament_kernel::id::Ids;
    use serde_json::json;

    use super::*;

    #[test]
    fn details_lose_whatever_is_named_like_an_address() {
        let details = json!({
            "reason": "ip", "ip": 1, "client_ip": 2, "ip_cidr": [], "address_ban_match": true,
            "zip": 3, "was": [{ "from_addr": 4, "name": "a" }],
        });
        let seen = json!({ "reason": "ip", "zip": 3, "was": [{ "name": "a" }] });
        assert_eq!(redacted(details), seen);
    }

    #[test]
    fn details_of_channels_are_for_who_sees_them() {
        let ids = Ids::default();
        let (seen, hidden): (ChannelId, ChannelId) = (ids.next(), ids.next());
        let read = |details| without_hidden_channels(details, |channel| channel == seen);
        let renamed = |channel: ChannelId| json!({ "channel_id": channel, "name": "plans" });
        assert_eq!(read(renamed(seen)), Some(renamed(seen)));
        assert_eq!(read(renamed(hidden)), None);
        assert_eq!(
            read(json!({ "channel_ids": [hidden, seen] })),
            Some(json!({ "channel_ids": [seen] }))
        );
        let of_a_role = json!({ "role_id": hidden.to_string() });
        assert_eq!(read(of_a_role.clone()), Some(of_a_role));
    }
}

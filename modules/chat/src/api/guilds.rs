use std::sync::Arc;

use filament_kernel::{
    ApiError, Caller,
    http::{JsonBytes, Origin, Valid},
    id::{GuildId, UserId},
    text,
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;
use validator::Validate;

use super::{Accepted, Answer, Tag, accepted};
use crate::{
    access::{Actor, Membership},
    changes::{self, GuildChange, JoinOutcome},
    domain::{
        act::Act,
        guild::{Guild, Visibility},
        name,
    },
    page::{self, Page},
    state::State,
    store,
};

pub struct Guilds(pub(super) Arc<State>);

/// What a new guild is to be.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct GuildCreate {
    /// 1 to 64 UTF-16 code units, not blank.
    #[validate(custom(function = "name::guild_or_channel"))]
    name: String,
    /// Who may know of it and join it.
    #[oai(default)]
    visibility: Visibility,
}

/// What of a guild is to change; one field at least.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct GuildUpdate {
    /// 1 to 64 UTF-16 code units, not blank.
    #[validate(custom(function = "name::guild_or_channel"))]
    name: Option<String>,
    /// Who may know of it and join it.
    visibility: Option<Visibility>,
}

/// Whose the guild is to be.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct GuildTransfer {
    /// Another member.
    user_id: UserId,
}

/// Guilds of the caller, oldest first.
#[derive(Debug, Object, Serialize)]
struct GuildList {
    guilds: Vec<Guild>,
    /// Where the next page begins; null on the last.
    #[oai(nullable)]
    next_cursor: Option<GuildId>,
}

/// Guilds of the public directory.
#[derive(Debug, Object, Serialize)]
struct GuildDirectory {
    guilds: Vec<Guild>,
}

/// What came of asking to join.
#[derive(Debug, Object, Serialize)]
struct GuildJoin {
    guild_id: GuildId,
    outcome: JoinOutcome,
}

const GUILDS_PER_PAGE: u64 = 512;
const DIRECTORY_DEFAULT: u64 = 20;
const DIRECTORY_MAX: u64 = 50;
const DIRECTORY_QUERY_CHARS: usize = 64;

#[OpenApi]
impl Guilds {
    /// Create a guild
    ///
    /// The caller becomes its owner.
    ///
    /// - 403: `guild_creation_limit_reached`: the caller has created five guilds that still exist (an operator may set another number)
    #[oai(
        path = "/guilds",
        method = "post",
        operation_id = "guild_create",
        tag = "Tag::Guilds"
    )]
    async fn guild_create(&self, caller: Caller, body: Valid<GuildCreate>) -> Answer<Guild> {
        let Valid(GuildCreate { name, visibility }) = body;
        let guild = changes::guild_create(&self.0, caller.user_id, name, visibility).await?;
        JsonBytes::of(&guild)
    }

    /// List the caller's guilds
    ///
    /// Oldest first. All of them at once, unless there are hundreds.
    #[oai(
        path = "/guilds",
        method = "get",
        operation_id = "guild_list",
        tag = "Tag::Guilds"
    )]
    async fn guild_list(
        &self,
        caller: Caller,
        /// `next_cursor` of the page before.
        cursor: Query<Option<GuildId>>,
    ) -> Answer<GuildList> {
        let db = self.0.host.db.read();
        let mut guilds =
            store::guilds::of_user(db, caller.user_id, cursor.0, GUILDS_PER_PAGE + 1).await?;
        let more = page::trim(&mut guilds, GUILDS_PER_PAGE);
        let next_cursor = guilds.last().filter(|_| more).map(|last| last.guild_id);
        page::write(GuildList {
            guilds,
            next_cursor,
        })
    }

    /// Search the public directory
    ///
    /// Public guilds whose name holds `q`, whatever the case; without `q`, all. Oldest first.
    #[oai(
        path = "/guilds/public",
        method = "get",
        operation_id = "guild_directory",
        tag = "Tag::Guilds"
    )]
    async fn guild_directory(
        &self,
        _caller: Caller,
        /// A part of the name, at most 64 UTF-16 code units.
        q: Query<Option<String>>,
        /// How many at most: 1 to 50, 20 if not given.
        limit: Query<Option<u64>>,
    ) -> Answer<GuildDirectory> {
        let limit = page::limit(limit.0, DIRECTORY_DEFAULT, DIRECTORY_MAX)?;
        let part =
            q.0.as_deref()
                .map(str::trim)
                .filter(|part| !part.is_empty());
        check_query(part.unwrap_or_default())?;
        let guilds = store::guilds::public(self.0.host.db.read(), part, limit).await?;
        JsonBytes::of(&GuildDirectory { guilds })
    }

    /// Join a public guild
    ///
    /// Limited per user and per address.
    ///
    /// - 403: `directory_join_user_banned`: the caller is banned; `directory_join_ip_banned`: their address is
    /// - 404: The guild is private, or there is none
    #[oai(
        path = "/guilds/:guild_id/join",
        method = "post",
        operation_id = "guild_join",
        tag = "Tag::Guilds"
    )]
    async fn guild_join(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
    ) -> Answer<GuildJoin> {
        let guild_id = guild_id.0;
        let outcome = changes::guild_join(&self.0, caller.user_id, origin, guild_id).await?;
        JsonBytes::of(&GuildJoin { guild_id, outcome })
    }

    /// Change a guild
    ///
    /// Its name or its visibility. Takes `manage_roles`. Members get `workspace_update`.
    #[oai(
        path = "/guilds/:guild_id",
        method = "patch",
        operation_id = "guild_update",
        tag = "Tag::Guilds"
    )]
    async fn guild_update(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        body: Valid<GuildUpdate>,
    ) -> Answer<Guild> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::GuildUpdate,
            origin,
        );
        let actor = actor.await?;
        let Valid(GuildUpdate { name, visibility }) = body;
        if name.is_none() && visibility.is_none() {
            return Err(super::nothing_to_change("name, visibility"));
        }
        let change = GuildChange { name, visibility };
        JsonBytes::of(&changes::guild_update(&self.0, actor, change).await?)
    }

    /// Delete a guild
    ///
    /// For an owner. Everything in it goes with it. Members get `workspace_delete`, and nothing of the guild after it.
    #[oai(
        path = "/guilds/:guild_id",
        method = "delete",
        operation_id = "guild_delete",
        tag = "Tag::Guilds"
    )]
    async fn guild_delete(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
    ) -> Answer<Accepted> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::GuildDelete,
            origin,
        );
        changes::guild_delete(&self.0, actor.await?).await?;
        accepted()
    }

    /// Leave a guild
    ///
    /// The last owner cannot: they transfer the guild first, or delete it.
    #[oai(
        path = "/guilds/:guild_id/leave",
        method = "post",
        operation_id = "member_leave",
        tag = "Tag::Guilds"
    )]
    async fn member_leave(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
    ) -> Answer<Accepted> {
        let membership = Membership::of(&self.0, caller.user_id, guild_id.0).await?;
        changes::member_leave(&self.0, membership, origin).await?;
        accepted()
    }

    /// Transfer a guild
    ///
    /// For an owner: another member becomes an owner in the caller's place.
    #[oai(
        path = "/guilds/:guild_id/transfer",
        method = "post",
        operation_id = "guild_transfer",
        tag = "Tag::Guilds"
    )]
    async fn guild_transfer(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        body: Valid<GuildTransfer>,
    ) -> Answer<Accepted> {
        let actor = Actor::of(
            &self.0,
            caller.user_id,
            guild_id.0,
            Act::GuildTransfer,
            origin,
        );
        changes::guild_transfer(&self.0, actor.await?, body.0.user_id).await?;
        accepted()
    }
}

fn check_query(part: &str) -> Result<(), ApiError> {
    if part.contains('\0') {
        return Err(ApiError::invalid("q", "must not hold the character NUL"));
    }
    // What stands for bytes that are no text; no name is searched for by it.
    if part.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ApiError::invalid("q", "must be UTF-8, percent-encoded"));
    }
    let length = text::utf16_len(part);
    if length > DIRECTORY_QUERY_CHARS {
        return Err(ApiError::invalid(
            "q",
            format!(
                "must be at most {DIRECTORY_QUERY_CHARS} characters (UTF-16 code units), got {length}"
            ),
        ));
    }
    Ok(())
}

impl Page for GuildList {
    fn len(&self) -> usize {
        self.guilds.len()
    }

    fn cut(&mut self, entries: usize) {
        self.guilds.truncate(entries);
        self.next_cursor = self.guilds.last().map(|last| last.guild_id);
    }
}

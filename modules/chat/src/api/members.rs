use std::{collections::HashSet, sync::Arc};

use filament_kernel::{
    ApiError, Caller,
    http::{Origin, Valid},
    id::{GuildId, RoleId, UserId},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;
use validator::Validate;

use super::{Accepted, Answer, Tag, accepted, optional_body::OptionalBody};
use crate::{
    access::{Actor, Membership},
    changes,
    domain::{
        act::Act,
        ban::{EXPIRES_IN_SECS_MAX, Terms},
        name,
        role::Standing,
    },
    page::{self, Page},
    state::State,
    store,
};

pub struct Members(pub(super) Arc<State>);

/// Somebody in a guild.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "GuildMember")]
struct Member {
    user_id: UserId,
    /// The roles that were given to them; `@everyone` holds for all and is not named.
    role_ids: Vec<RoleId>,
}

/// A page of members, in the order of their ids.
#[derive(Debug, Object, Serialize)]
#[oai(rename = "GuildMemberPage")]
struct MemberPage {
    members: Vec<Member>,
    /// Where the next page begins; null on the last.
    #[oai(nullable)]
    next_cursor: Option<UserId>,
}

/// What a member is to be.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct MemberUpdate {
    role: Standing,
}

/// Why and for how long somebody is banned.
#[derive(Debug, Default, Object, Validate)]
#[oai(deny_unknown_fields)]
struct MemberBan {
    /// At most 240 UTF-16 code units.
    #[validate(custom(function = "name::reason"))]
    reason: Option<String>,
    /// 1 to 15552000 (180 days); without an end if not given.
    #[validate(range(min = 1, max = EXPIRES_IN_SECS_MAX))]
    expires_in_secs: Option<u32>,
}

#[OpenApi]
impl Members {
    /// List the members of a guild
    ///
    /// In the order of their ids. Members whose account is gone are left out, so that a page may hold fewer than `limit`;
    /// only `next_cursor` says whether it is the last.
    #[oai(
        path = "/guilds/:guild_id/members",
        method = "get",
        operation_id = "member_list",
        tag = "Tag::Members"
    )]
    async fn member_list(
        &self,
        caller: Caller,
        guild_id: Path<GuildId>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<UserId>>,
        /// How many at most: 1 to 200, 200 if not given.
        limit: Query<Option<u64>>,
    ) -> Answer<MemberPage> {
        let state = &*self.0;
        let max = state.config.members_page_max.into();
        let limit = page::limit(limit.0, max, max)?;
        let membership = Membership::of(state, caller.user_id, guild_id.0).await?;
        let guild = membership.guild().id;
        let mut rows =
            store::members::page(state.host.db.read(), guild, cursor.0, Some(limit + 1)).await?;
        let more = page::trim(&mut rows, limit);
        let next_cursor = rows.last().filter(|_| more).map(|(last, _)| *last);

        let ids: Vec<UserId> = rows.iter().map(|(user, _)| *user).collect();
        let accounts = state.accounts.accounts(&ids).await?;
        let known: HashSet<UserId> = accounts
            .into_iter()
            .map(|account| account.user_id)
            .collect();
        let members = rows
            .into_iter()
            .filter(|(user, _)| known.contains(user))
            .map(|(user_id, role_ids)| Member { user_id, role_ids })
            .collect();
        page::write(MemberPage {
            members,
            next_cursor,
        })
    }

    /// Add a member
    ///
    /// Takes `manage_roles`. Nothing happens where the user is a member; a user who is banned is not added.
    #[oai(
        path = "/guilds/:guild_id/members/:user_id",
        method = "post",
        operation_id = "member_add",
        tag = "Tag::Members"
    )]
    async fn member_add(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        user_id: Path<UserId>,
    ) -> Answer<Accepted> {
        let actor = self.actor(caller, guild_id, Act::MemberAdd, origin).await?;
        changes::member_add(&self.0, actor, user_id.0).await?;
        accepted()
    }

    /// Make a member an owner, a moderator or a mere member
    ///
    /// Gives the role that stands for it and takes those that stand for more. Takes `manage_member_roles`, a rank above the member, and
    /// the permissions that the role grants; only an owner makes another owner, and the last owner stays one.
    #[oai(
        path = "/guilds/:guild_id/members/:user_id",
        method = "patch",
        operation_id = "member_update",
        tag = "Tag::Members"
    )]
    async fn member_update(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        user_id: Path<UserId>,
        body: Valid<MemberUpdate>,
    ) -> Answer<Accepted> {
        let actor = self
            .actor(caller, guild_id, Act::MemberUpdate, origin)
            .await?;
        changes::member_update(&self.0, actor, user_id.0, body.0.role).await?;
        accepted()
    }

    /// Kick a member
    ///
    /// Takes `ban_member` and a rank above the member, who may come back.
    #[oai(
        path = "/guilds/:guild_id/members/:user_id/kick",
        method = "post",
        operation_id = "member_kick",
        tag = "Tag::Members"
    )]
    async fn member_kick(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        user_id: Path<UserId>,
    ) -> Answer<Accepted> {
        let actor = self
            .actor(caller, guild_id, Act::MemberKick, origin)
            .await?;
        changes::member_kick(&self.0, actor, user_id.0).await?;
        accepted()
    }

    /// Ban a user
    ///
    /// Takes `ban_member` and a rank above the user, who need not be a member. The body may be left out. A ban that stands is
    /// replaced, unless somebody above the caller's rank has set it.
    #[oai(
        path = "/guilds/:guild_id/members/:user_id/ban",
        method = "post",
        operation_id = "member_ban",
        tag = "Tag::Members"
    )]
    async fn member_ban(
        &self,
        caller: Caller,
        origin: Origin,
        guild_id: Path<GuildId>,
        user_id: Path<UserId>,
        body: OptionalBody<MemberBan>,
    ) -> Answer<Accepted> {
        let actor = self.actor(caller, guild_id, Act::MemberBan, origin).await?;
        let OptionalBody(ban) = body;
        let terms = Terms {
            reason: ban.reason.unwrap_or_default(),
            expires_in_secs: ban.expires_in_secs,
        };
        changes::member_ban(&self.0, actor, user_id.0, terms).await?;
        accepted()
    }
}

impl Members {
    async fn actor(
        &self,
        caller: Caller,
        guild_id: Path<GuildId>,
        act: Act,
        origin: Origin,
    ) -> Result<Actor, ApiError> {
        Actor::of(&self.0, caller.user_id, guild_id.0, act, origin).await
    }
}

impl Page for MemberPage {
    fn len(&self) -> usize {
        self.members.len()
    }

    fn cut(&mut self, entries: usize) {
        self.members.truncate(entries);
        self.next_cursor = self.members.last().map(|last| last.user_id);
    }
}

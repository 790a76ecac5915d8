use std::{collections::HashSet, sync::Arc};

use filament_kernel::{
    Caller,
    id::{GuildId, RoleId, UserId},
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;

use super::{Answer, Tag};
use crate::{
    access::Membership,
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
    next_cursor: Option<UserId>,
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

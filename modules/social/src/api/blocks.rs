use std::sync::Arc;

use filament_kernel::{
    ApiError, Caller,
    http::{JsonBytes, NoContent, Origin},
    id::UserId,
};
use poem_openapi::{
    Object, OpenApi,
    param::{Path, Query},
};
use serde::Serialize;

use super::{Answer, Tag};
use crate::{changes, state::State, store};

pub struct Blocks(pub(super) Arc<State>);

/// Somebody whom the caller has blocked.
#[derive(Debug, Object, Serialize)]
struct BlockedUser {
    user_id: UserId,
    username: String,
    /// Since when.
    created_at_unix: i64,
}

/// A page of blocked users, in the order of their ids.
#[derive(Debug, Object, Serialize)]
struct BlockedUserPage {
    blocked: Vec<BlockedUser>,
    /// Where the next page begins; null on the last.
    #[oai(nullable)]
    next_cursor: Option<UserId>,
}

/// With the longest names they take 58 KiB of the 64 that an answer may have.
const BLOCKED_PER_PAGE: usize = 512;

#[OpenApi]
impl Blocks {
    /// List whom the caller has blocked
    ///
    /// Up to 512 at once, in the order of their ids.
    #[oai(
        path = "/blocks",
        method = "get",
        operation_id = "block_list",
        tag = "Tag::Blocks"
    )]
    async fn block_list(
        &self,
        caller: Caller,
        /// `next_cursor` of the page before.
        cursor: Query<Option<UserId>>,
    ) -> Answer<BlockedUserPage> {
        let db = self.0.host.db.read();
        let one_more = BLOCKED_PER_PAGE as u64 + 1;
        let mut rows = store::blocks::page(db, caller.user_id, cursor.0, one_more).await?;
        let more = rows.len() > BLOCKED_PER_PAGE;
        rows.truncate(BLOCKED_PER_PAGE);
        let next_cursor = rows.last().filter(|_| more).map(|(last, _)| *last);

        let ids: Vec<UserId> = rows.iter().map(|(blocked, _)| *blocked).collect();
        let mut names = self.0.usernames(&ids).await?;
        let blocked = rows
            .into_iter()
            .filter_map(|(user_id, created_at_unix)| {
                Some(BlockedUser {
                    user_id,
                    username: names.remove(&user_id)?,
                    created_at_unix,
                })
            })
            .collect();
        JsonBytes::of(&BlockedUserPage {
            blocked,
            next_cursor,
        })
    }

    /// Block a user
    ///
    /// Ends a friendship and requests between the two, with the ordinary events; of the block itself the other is not told. As long as it
    /// lasts, neither can ask the other for a friendship. Idempotent.
    ///
    /// - 400: To block oneself
    /// - 404: There is no such user
    /// - 409: `quota_exceeded`: the caller has blocked as many as one may
    #[oai(
        path = "/blocks/:user_id",
        method = "post",
        operation_id = "user_block",
        tag = "Tag::Blocks"
    )]
    async fn user_block(
        &self,
        caller: Caller,
        origin: Origin,
        user_id: Path<UserId>,
    ) -> Result<NoContent, ApiError> {
        changes::user_block(&self.0, caller.user_id, origin, user_id.0).await?;
        Ok(NoContent)
    }

    /// Unblock a user
    ///
    /// Idempotent. What the block ended stays ended.
    #[oai(
        path = "/blocks/:user_id",
        method = "delete",
        operation_id = "user_unblock",
        tag = "Tag::Blocks"
    )]
    async fn user_unblock(
        &self,
        caller: Caller,
        origin: Origin,
        user_id: Path<UserId>,
    ) -> Result<NoContent, ApiError> {
        changes::user_unblock(&self.0, caller.user_id, origin, user_id.0).await?;
        Ok(NoContent)
    }
}

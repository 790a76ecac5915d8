use std::sync::Arc;

use filament_kernel::{
    ApiError, Caller,
    http::{JsonBytes, NoContent},
    id::UserId,
};
use poem_openapi::{Object, OpenApi, param::Path};
use serde::Serialize;

use super::{Answer, Tag};
use crate::{changes, state::State, store};

pub struct Friends(pub(super) Arc<State>);

/// A friend of the caller.
#[derive(Debug, Object, Serialize)]
struct Friend {
    user_id: UserId,
    username: String,
    /// Since when.
    created_at_unix: i64,
}

/// All friends of the caller, in the order of their ids.
#[derive(Debug, Object, Serialize)]
struct FriendList {
    friends: Vec<Friend>,
}

#[OpenApi]
impl Friends {
    /// List the caller's friends
    ///
    /// All of them, at most 500, in the order of their ids.
    #[oai(
        path = "/friends",
        method = "get",
        operation_id = "friend_list",
        tag = "Tag::Friends"
    )]
    async fn friend_list(&self, caller: Caller) -> Answer<FriendList> {
        let rows = store::friendships::of_user(self.0.host.db.read(), caller.user_id).await?;
        let ids: Vec<UserId> = rows.iter().map(|(friend, _)| *friend).collect();
        let mut names = self.0.usernames(&ids).await?;
        let friends = rows
            .into_iter()
            .filter_map(|(user_id, created_at_unix)| {
                Some(Friend {
                    user_id,
                    username: names.remove(&user_id)?,
                    created_at_unix,
                })
            })
            .collect();
        JsonBytes::of(&FriendList { friends })
    }

    /// End a friendship
    ///
    /// Idempotent: with somebody who is no friend, nothing happens. Both sides get `friend_remove`.
    #[oai(
        path = "/friends/:user_id",
        method = "delete",
        operation_id = "friend_remove",
        tag = "Tag::Friends"
    )]
    async fn friend_remove(
        &self,
        caller: Caller,
        user_id: Path<UserId>,
    ) -> Result<NoContent, ApiError> {
        changes::friend_remove(&self.0, caller.user_id, user_id.0).await?;
        Ok(NoContent)
    }
}

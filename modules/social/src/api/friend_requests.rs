use std::{collections::HashMap, sync::Arc};

use filament_kernel::{
    ApiError, Caller,
    http::{JsonBytes, NoContent, Valid},
    id::{FriendRequestId, UserId},
};
use poem_openapi::{Object, OpenApi, param::Path};
use serde::Serialize;
use validator::Validate;

use super::{Answer, Tag};
use crate::{
    changes,
    domain::friend_request::{FriendRequest, Pending},
    state::State,
    store,
};

pub struct FriendRequests(pub(super) Arc<State>);

/// Who is to be asked for a friendship.
#[derive(Debug, Object, Validate)]
#[oai(deny_unknown_fields)]
struct FriendRequestCreate {
    /// Anybody but the caller.
    recipient_user_id: UserId,
}

/// Requests that wait for an answer, oldest first.
#[derive(Debug, Object, Serialize)]
struct FriendRequestList {
    /// Those that the caller is to answer.
    incoming: Vec<FriendRequest>,
    /// Those of the caller.
    outgoing: Vec<FriendRequest>,
}

/// The two are friends.
#[derive(Debug, Object, Serialize)]
struct FriendRequestAccept {
    /// Always true.
    accepted: bool,
}

#[OpenApi]
impl FriendRequests {
    /// Ask somebody for a friendship
    ///
    /// Asking again while the request waits answers that request. Both sides get `friend_request_create`.
    ///
    /// - 400: To oneself, to a friend, to somebody whom the caller has blocked, or to somebody who has asked the caller (accept that request)
    /// - 403: The recipient takes no requests from the caller now
    /// - 404: There is no such user
    /// - 409: `quota_exceeded`: too many requests of the caller wait
    /// - 429: Too many requests, or too many to the same user within a day; what was declined or withdrawn counts
    #[oai(
        path = "/friends/requests",
        method = "post",
        operation_id = "friend_request_create",
        tag = "Tag::Friends"
    )]
    async fn friend_request_create(
        &self,
        caller: Caller,
        body: Valid<FriendRequestCreate>,
    ) -> Answer<FriendRequest> {
        let recipient = body.0.recipient_user_id;
        let request = changes::friend_request_create(&self.0, caller.user_id, recipient).await?;
        JsonBytes::of(&request)
    }

    /// List the caller's friend requests
    ///
    /// Those that wait for an answer: at most 100 each way, oldest first.
    #[oai(
        path = "/friends/requests",
        method = "get",
        operation_id = "friend_request_list",
        tag = "Tag::Friends"
    )]
    async fn friend_request_list(&self, caller: Caller) -> Answer<FriendRequestList> {
        let db = self.0.host.db.read();
        let incoming = store::friend_requests::incoming(db, caller.user_id).await?;
        let outgoing = store::friend_requests::outgoing(db, caller.user_id).await?;
        let mut ids = vec![caller.user_id];
        ids.extend(incoming.iter().map(|pending| pending.sender));
        ids.extend(outgoing.iter().map(|pending| pending.recipient));
        let names = self.0.usernames(&ids).await?;
        JsonBytes::of(&FriendRequestList {
            incoming: named(incoming, &names),
            outgoing: named(outgoing, &names),
        })
    }

    /// Accept a friend request
    ///
    /// For its recipient; for everybody else there is no such request. Each side gets `friend_request_update` as it sees it.
    ///
    /// - 409: `quota_exceeded`: one of the two has as many friends as one may have; the request stays
    #[oai(
        path = "/friends/requests/:request_id/accept",
        method = "post",
        operation_id = "friend_request_accept",
        tag = "Tag::Friends"
    )]
    async fn friend_request_accept(
        &self,
        caller: Caller,
        request_id: Path<FriendRequestId>,
    ) -> Answer<FriendRequestAccept> {
        changes::friend_request_accept(&self.0, caller.user_id, request_id.0).await?;
        JsonBytes::of(&FriendRequestAccept { accepted: true })
    }

    /// Decline or withdraw a friend request
    ///
    /// For its recipient and its sender; for everybody else there is no such request, and once it is answered or gone there is none
    /// for anybody. Both sides get `friend_request_delete`.
    #[oai(
        path = "/friends/requests/:request_id",
        method = "delete",
        operation_id = "friend_request_delete",
        tag = "Tag::Friends"
    )]
    async fn friend_request_delete(
        &self,
        caller: Caller,
        request_id: Path<FriendRequestId>,
    ) -> Result<NoContent, ApiError> {
        changes::friend_request_delete(&self.0, caller.user_id, request_id.0).await?;
        Ok(NoContent)
    }
}

/// The requests as clients see them. One whose other side has just been deleted is left out.
fn named(all: Vec<Pending>, names: &HashMap<UserId, String>) -> Vec<FriendRequest> {
    all.into_iter()
        .filter_map(|pending| {
            let sender = names.get(&pending.sender)?.clone();
            let recipient = names.get(&pending.recipient)?.clone();
            Some(pending.named((sender, recipient)))
        })
        .collect()
}

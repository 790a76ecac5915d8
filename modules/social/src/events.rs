//! What open sockets are told: always both sides, each in its own stream.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    id::{FriendRequestId, UserId},
    log::{NewEvent, Stream},
};
use serde::Serialize;

use crate::domain::friend_request::{FriendRequest, Pending};

pub(crate) const FRIEND_REQUEST_CREATE: &str = "friend_request_create";
pub(crate) const FRIEND_REQUEST_UPDATE: &str = "friend_request_update";
pub(crate) const FRIEND_REQUEST_DELETE: &str = "friend_request_delete";
pub(crate) const FRIEND_REMOVE: &str = "friend_remove";

/// Somebody asks somebody for a friendship.
pub(crate) fn friend_request_create(request: &FriendRequest) -> Result<Vec<NewEvent>, ApiError> {
    #[derive(Serialize)]
    struct Data<'a> {
        #[serde(flatten)]
        request: &'a FriendRequest,
        actor_user_id: UserId,
    }
    let sender = request.sender_user_id;
    let data = Data {
        request,
        actor_user_id: sender,
    };
    same_for_both(
        FRIEND_REQUEST_CREATE,
        [sender, request.recipient_user_id],
        &data,
    )
}

/// What became of a request. One that is declined or withdrawn is deleted.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Accepted,
}

/// A request was accepted: the two are friends from `now` on, in unix seconds.
pub(crate) fn friend_request_update(
    request: &FriendRequest,
    now: i64,
) -> Result<Vec<NewEvent>, ApiError> {
    #[derive(Serialize)]
    struct Data<'a> {
        request_id: FriendRequestId,
        state: State,
        user_id: UserId,
        friend_user_id: UserId,
        friend_username: &'a str,
        friendship_created_at_unix: i64,
        updated_at_unix: i64,
        actor_user_id: UserId,
    }
    let (sender, recipient) = (request.sender_user_id, request.recipient_user_id);
    let seen_by = |user_id, friend_user_id, friend_username| {
        let data = Data {
            request_id: request.request_id,
            state: State::Accepted,
            user_id,
            friend_user_id,
            friend_username,
            friendship_created_at_unix: now,
            updated_at_unix: now,
            actor_user_id: recipient,
        };
        NewEvent::new(Stream::User(user_id), FRIEND_REQUEST_UPDATE, &data)
    };
    Ok(vec![
        seen_by(sender, recipient, &request.recipient_username)?,
        seen_by(recipient, sender, &request.sender_username)?,
    ])
}

/// A request is gone unanswered: `actor` has declined or withdrawn it.
pub(crate) fn friend_request_delete(
    pending: &Pending,
    actor: UserId,
    now: i64,
) -> Result<Vec<NewEvent>, ApiError> {
    #[derive(Serialize)]
    struct Data {
        request_id: FriendRequestId,
        deleted_at_unix: i64,
        actor_user_id: UserId,
    }
    let data = Data {
        request_id: pending.request_id,
        deleted_at_unix: now,
        actor_user_id: actor,
    };
    same_for_both(
        FRIEND_REQUEST_DELETE,
        [pending.sender, pending.recipient],
        &data,
    )
}

/// `actor` has ended the friendship with `other`.
pub(crate) fn friend_remove(
    actor: UserId,
    other: UserId,
    now: i64,
) -> Result<Vec<NewEvent>, ApiError> {
    #[derive(Serialize)]
    struct Data {
        user_id: UserId,
        friend_user_id: UserId,
        removed_at_unix: i64,
        actor_user_id: UserId,
    }
    let seen_by = |user_id, friend_user_id| {
        let data = Data {
            user_id,
            friend_user_id,
            removed_at_unix: now,
            actor_user_id: actor,
        };
        NewEvent::new(Stream::User(user_id), FRIEND_REMOVE, &data)
    };
    Ok(vec![seen_by(actor, other)?, seen_by(other, actor)?])
}

fn same_for_both(
    name: &'static str,
    sides: [UserId; 2],
    data: &impl Serialize,
) -> Result<Vec<NewEvent>, ApiError> {
    let text: Arc<str> = serde_json::to_string(data)
        .map_err(ApiError::internal)?
        .into();
    let to = |user| NewEvent::from_text(Stream::User(user), name, text.clone());
    Ok(sides.map(to).into())
}

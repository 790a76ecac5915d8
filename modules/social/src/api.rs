//! The routes, by resource.

mod blocks;
mod friend_requests;
mod friends;

use std::sync::Arc;

use filament_kernel::{ApiError, http::JsonBytes};
use poem_openapi::Tags;

use crate::state::State;

/// All of them.
pub(crate) type Api = (
    friends::Friends,
    friend_requests::FriendRequests,
    blocks::Blocks,
);

pub(crate) fn new(state: &Arc<State>) -> Api {
    (
        friends::Friends(state.clone()),
        friend_requests::FriendRequests(state.clone()),
        blocks::Blocks(state.clone()),
    )
}

#[derive(Tags)]
enum Tag {
    /// Friends, and requests for friendship.
    Friends,
    /// Users whom the caller wants no contact with.
    Blocks,
}

type Answer<T> = Result<JsonBytes<T>, ApiError>;

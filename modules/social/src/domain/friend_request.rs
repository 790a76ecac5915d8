use filament_kernel::id::{FriendRequestId, UserId};
use poem_openapi::Object;
use serde::Serialize;

/// A request that waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) request_id: FriendRequestId,
    pub(crate) sender: UserId,
    pub(crate) recipient: UserId,
    /// In unix seconds.
    pub(crate) created_at: i64,
}

impl Pending {
    /// Whether `user` is one of the two whom it concerns.
    pub(crate) fn concerns(&self, user: UserId) -> bool {
        user == self.sender || user == self.recipient
    }

    /// As clients see it, with the names of sender and recipient.
    pub(crate) fn named(
        self,
        (sender_username, recipient_username): (String, String),
    ) -> FriendRequest {
        FriendRequest {
            request_id: self.request_id,
            sender_user_id: self.sender,
            sender_username,
            recipient_user_id: self.recipient,
            recipient_username,
            created_at_unix: self.created_at,
        }
    }
}

/// A request for friendship that waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub(crate) struct FriendRequest {
    pub(crate) request_id: FriendRequestId,
    /// Who asks.
    pub(crate) sender_user_id: UserId,
    pub(crate) sender_username: String,
    /// Who is asked.
    pub(crate) recipient_user_id: UserId,
    pub(crate) recipient_username: String,
    pub(crate) created_at_unix: i64,
}

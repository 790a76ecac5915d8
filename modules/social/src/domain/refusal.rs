use std::time::Duration;

use filament_kernel::{ApiError, ErrorCode, log::Stop};

/// Why something was not done, as far as a person can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is not there, or not the caller's.
    NotFound,
    /// The two are friends.
    AlreadyFriends,
    /// The recipient has asked the sender before.
    RecipientHasAsked,
    /// The sender has blocked the recipient.
    BlockedBySender,
    /// The recipient has no room for more requests, or has blocked the sender. One refusal, so that the sender cannot tell which.
    RecipientTakesNone,
    /// As many requests of the sender wait for an answer as may.
    TooManyOutgoing { max: u32 },
    /// The sender has asked this recipient too often.
    AskedTooOften { max: u32, wait: Duration },
    /// The caller has as many friends as one may have.
    TooManyFriends { max: u32 },
    /// The one who asked has as many friends as one may have.
    SenderHasTooManyFriends { max: u32 },
    /// The caller has blocked as many users as one may.
    TooManyBlocks { max: u32 },
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let recipient = |problem: &str| Self::invalid("recipient_user_id", problem);
        let quota = |message: String| Self::new(ErrorCode::QUOTA_EXCEEDED, message);
        match refusal {
            Refusal::NotFound => Self::not_found(),
            Refusal::AlreadyFriends => recipient("is a friend already"),
            Refusal::RecipientHasAsked => {
                recipient("has sent a friend request to you; accept that one")
            }
            Refusal::BlockedBySender => recipient("is blocked by you; unblock first"),
            Refusal::RecipientTakesNone => {
                Self::forbidden("this user takes no friend requests from you now")
            }
            Refusal::TooManyOutgoing { max } => quota(format!(
                "at most {max} friend requests of one user may wait for an answer"
            )),
            Refusal::AskedTooOften { max, wait } => Self::new(
                ErrorCode::RATE_LIMITED,
                format!("recipient_user_id: may be asked by you at most {max} times a day"),
            )
            .retry_after(wait),
            Refusal::TooManyFriends { max } => {
                quota(format!("one user may have at most {max} friends"))
            }
            Refusal::SenderHasTooManyFriends { max } => quota(format!(
                "who asked has {max} friends, and may not have more"
            )),
            Refusal::TooManyBlocks { max } => {
                quota(format!("one user may have blocked at most {max} users"))
            }
        }
    }
}

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{FriendRequestId, UserId},
    log::Applied,
};

use super::act::{Act, Stop, commit};
use crate::{
    domain::{friend_request::FriendRequest, refusal::Refusal},
    events,
    state::State,
    store,
};

/// Makes friends of who asked and `recipient`, who was asked. Nobody else can, nor knows that the request exists.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn friend_request_accept(
    state: &Arc<State>,
    recipient: UserId,
    request_id: FriendRequestId,
) -> Result<(), ApiError> {
    let pending = store::friend_requests::find(state.host.db.read(), request_id)
        .await?
        .filter(|pending| pending.recipient == recipient)
        .ok_or_else(ApiError::not_found)?;
    let (sender_username, recipient_username) =
        state.both_usernames(pending.sender, recipient).await?;
    let act = FriendRequestAccept {
        state: state.clone(),
        request: pending.named(sender_username, recipient_username),
    };
    commit(state, act).await
}

struct FriendRequestAccept {
    state: Arc<State>,
    /// As it was before the transaction; a request never changes, but it may be gone.
    request: FriendRequest,
}

#[async_trait::async_trait]
impl Act for FriendRequestAccept {
    type Output = ();

    async fn make(&self, tx: &WriteTx) -> Result<Applied<()>, Stop> {
        let FriendRequest {
            request_id,
            sender_user_id: sender,
            recipient_user_id: recipient,
            ..
        } = self.request;
        if store::friend_requests::find(tx, request_id)
            .await?
            .is_none()
        {
            return Err(Refusal::NotFound.into());
        }
        let max = self.state.config.max_friends_per_user;
        if store::friendships::count(tx, recipient).await? >= max.into() {
            return Err(Refusal::TooManyFriends { max }.into());
        }
        if store::friendships::count(tx, sender).await? >= max.into() {
            return Err(Refusal::SenderHasTooManyFriends { max }.into());
        }
        // Another server on the same database may have taken it since it was found.
        if !store::friend_requests::delete(tx, request_id).await? {
            return Err(Refusal::NotFound.into());
        }
        let now = self.state.host.clock.now_unix();
        store::friendships::insert(tx, sender, recipient, now)
            .await
            .map_err(store::unless_gone)?;
        Ok(Applied {
            output: (),
            events: events::friend_request_update(&self.request, now)?,
        })
    }

    fn committed(&self, (): &()) {
        self.state.friendships_total.increment(1);
    }
}

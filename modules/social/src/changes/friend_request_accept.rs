use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{FriendRequestId, UserId},
    log::{Applied, SingleChange, Stop},
};

use crate::{
    domain::{friend_request::Pending, refusal::Refusal},
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
    let change = FriendRequestAccept {
        state: state.clone(),
        recipient,
        request_id,
    };
    state.host.log.commit(change).await?
}

struct FriendRequestAccept {
    state: Arc<State>,
    recipient: UserId,
    request_id: FriendRequestId,
}

impl FriendRequestAccept {
    /// The request that is to be accepted.
    ///
    /// # Errors
    /// What is in the way of a friendship.
    async fn pending(&self, tx: &WriteTx) -> Result<Pending, Stop> {
        let recipient = self.recipient;
        let pending = store::friend_requests::find(tx, self.request_id)
            .await?
            .filter(|pending| pending.recipient == recipient)
            .ok_or(Refusal::NotFound)?;
        // A block ends what is pending; another server on the same database may have left a request beside one.
        let blocks = store::blocks::between(tx, recipient, pending.sender).await?;
        if blocks.allow_contact().is_err() {
            return Err(Refusal::NotFound.into());
        }
        let max = self.state.config.max_friends_per_user;
        if store::friendships::count(tx, recipient).await? >= max.into() {
            return Err(Refusal::TooManyFriends { max }.into());
        }
        if store::friendships::count(tx, pending.sender).await? >= max.into() {
            return Err(Refusal::SenderHasTooManyFriends { max }.into());
        }
        Ok(pending)
    }
}

#[async_trait::async_trait]
impl SingleChange for FriendRequestAccept {
    type Output = ();

    async fn make(&self, tx: &WriteTx) -> Result<Applied<()>, Stop> {
        let pending = self.pending(tx).await?;
        let (sender, recipient) = (pending.sender, pending.recipient);
        let names = self.state.both_usernames(tx, sender, recipient).await?;
        // Another server on the same database may have taken it since it was found.
        if !store::friend_requests::delete(tx, self.request_id).await? {
            return Err(Refusal::NotFound.into());
        }
        let now = self.state.host.clock.now_unix();
        store::friendships::insert(tx, sender, recipient, now)
            .await
            .map_err(store::unless_gone)?;
        Ok(Applied {
            output: (),
            events: events::friend_request_update(&pending.named(names), now)?,
        })
    }

    fn made(&self, (): &()) {
        self.state.friendships_total.increment(1);
    }
}

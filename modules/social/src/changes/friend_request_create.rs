use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::UserId,
    log::{Applied, SingleChange, Stop},
};

use crate::{
    domain::{
        friend_request::{FriendRequest, Pending},
        pair::Pair,
        refusal::Refusal,
    },
    events,
    state::State,
    store,
};

/// Asks `recipient` for a friendship. Who has asked and waits gets the request that is pending.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn friend_request_create(
    state: &Arc<State>,
    sender: UserId,
    recipient: UserId,
) -> Result<FriendRequest, ApiError> {
    state.requests_by_user.check(&sender)?;
    if sender == recipient {
        return Err(ApiError::invalid(
            "recipient_user_id",
            "must be somebody else",
        ));
    }
    let change = FriendRequestCreate {
        state: state.clone(),
        sender,
        recipient,
    };
    Ok(state.host.log.commit(change).await??.request)
}

struct FriendRequestCreate {
    state: Arc<State>,
    sender: UserId,
    recipient: UserId,
}

/// What asking came to.
struct Asked {
    request: FriendRequest,
    is_new: bool,
}

impl FriendRequestCreate {
    /// The request of the same sender that waits already.
    ///
    /// # Errors
    /// What is in the way of a new one. What the recipient says, be it by a block or by a list that is full, comes before the
    /// sender's own limits, so that one cannot be told from the other.
    async fn pending_already(&self, tx: &WriteTx, now: i64) -> Result<Option<Pending>, Stop> {
        let (sender, recipient) = (self.sender, self.recipient);
        let config = &self.state.config;
        let blocks = store::blocks::between(tx, sender, recipient).await?;
        blocks.allow_contact()?;
        if let Some(pending) =
            store::friend_requests::between(tx, Pair::of(sender, recipient)).await?
        {
            if pending.sender != sender {
                return Err(Refusal::RecipientHasAsked.into());
            }
            return Ok(Some(pending));
        }
        if store::friendships::exists(tx, sender, recipient).await? {
            return Err(Refusal::AlreadyFriends.into());
        }
        let incoming = store::friend_requests::count_incoming(tx, recipient).await?;
        if incoming >= config.max_incoming_requests_per_user.into() {
            return Err(Refusal::RecipientTakesNone.into());
        }
        let max = config.max_outgoing_requests_per_user;
        if store::friend_requests::count_outgoing(tx, sender).await? >= max.into() {
            return Err(Refusal::TooManyOutgoing { max }.into());
        }
        if let Some(tally) = store::tallies::find(tx, sender, recipient).await? {
            tally.allow_one_more(now, config.friend_requests_per_day_per_recipient)?;
        }
        Ok(None)
    }
}

#[async_trait::async_trait]
impl SingleChange for FriendRequestCreate {
    type Output = Asked;

    async fn make(&self, tx: &WriteTx) -> Result<Applied<Asked>, Stop> {
        let (sender, recipient) = (self.sender, self.recipient);
        let names = self.state.both_usernames(tx, sender, recipient).await?;
        let now = self.state.host.clock.now_unix();
        if let Some(pending) = self.pending_already(tx, now).await? {
            return Ok(Applied::silent(Asked {
                request: pending.named(names),
                is_new: false,
            }));
        }
        let pending = Pending {
            request_id: self.state.host.ids.next(),
            sender,
            recipient,
            created_at: now,
        };
        store::friend_requests::insert(tx, pending)
            .await
            .map_err(store::unless_gone)?;
        store::tallies::add(tx, sender, recipient, now).await?;
        let request = pending.named(names);
        Ok(Applied {
            events: events::friend_request_create(&request)?,
            output: Asked {
                request,
                is_new: true,
            },
        })
    }

    fn made(&self, asked: &Asked) {
        if asked.is_new {
            self.state.friend_requests_total.increment(1);
        }
    }
}

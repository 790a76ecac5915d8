use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{FriendRequestId, UserId},
    log::{Applied, NewEvent, SingleChange, Stop},
};

use crate::{
    domain::{friend_request::Pending, refusal::Refusal},
    events,
    state::State,
    store,
};

/// Declines or withdraws a request: whoever of the two does it.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn friend_request_delete(
    state: &Arc<State>,
    actor: UserId,
    request_id: FriendRequestId,
) -> Result<(), ApiError> {
    let change = FriendRequestDelete {
        state: state.clone(),
        actor,
        request_id,
    };
    state.host.log.commit(change).await?
}

struct FriendRequestDelete {
    state: Arc<State>,
    actor: UserId,
    request_id: FriendRequestId,
}

#[async_trait::async_trait]
impl SingleChange for FriendRequestDelete {
    type Output = ();

    async fn make(&self, tx: &WriteTx) -> Result<Applied<()>, Stop> {
        let pending = store::friend_requests::find(tx, self.request_id)
            .await?
            .filter(|pending| pending.concerns(self.actor))
            .ok_or(Refusal::NotFound)?;
        let now = self.state.host.clock.now_unix();
        Ok(Applied {
            output: (),
            events: end_request(tx, &pending, self.actor, now).await?,
        })
    }
}

/// Takes a request away unanswered, at `now` in unix seconds, and answers the events that tell of it.
pub(super) async fn end_request(
    tx: &WriteTx,
    pending: &Pending,
    actor: UserId,
    now: i64,
) -> Result<Vec<NewEvent>, Stop> {
    if !store::friend_requests::delete(tx, pending.request_id).await? {
        return Ok(Vec::new());
    }
    Ok(events::friend_request_delete(pending, actor, now)?)
}

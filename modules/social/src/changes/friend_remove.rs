use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::UserId,
    log::{Applied, NewEvent, SingleChange, Stop},
};

use crate::{events, state::State, store};

/// Ends the friendship with `friend`, if there is one.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn friend_remove(
    state: &Arc<State>,
    actor: UserId,
    friend: UserId,
) -> Result<(), ApiError> {
    let change = FriendRemove {
        state: state.clone(),
        actor,
        friend,
    };
    state.host.log.commit(change).await?
}

struct FriendRemove {
    state: Arc<State>,
    actor: UserId,
    friend: UserId,
}

#[async_trait::async_trait]
impl SingleChange for FriendRemove {
    type Output = ();

    async fn make(&self, tx: &WriteTx) -> Result<Applied<()>, Stop> {
        let now = self.state.host.clock.now_unix();
        Ok(Applied {
            output: (),
            events: end_friendship(tx, self.actor, self.friend, now).await?,
        })
    }
}

/// Ends a friendship, if there is one, at `now` in unix seconds, and answers the events that tell of it.
pub(super) async fn end_friendship(
    tx: &WriteTx,
    actor: UserId,
    friend: UserId,
    now: i64,
) -> Result<Vec<NewEvent>, Stop> {
    if !store::friendships::delete(tx, actor, friend).await? {
        return Ok(Vec::new());
    }
    Ok(events::friend_remove(actor, friend, now)?)
}

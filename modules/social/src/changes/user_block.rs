use std::sync::Arc;

use filament_kernel::{
    ApiError,
    audit::AuditEntry,
    db::WriteTx,
    http::Origin,
    id::UserId,
    log::{Applied, SingleChange, Stop},
};

use super::{friend_remove::end_friendship, friend_request_delete::end_request};
use crate::{
    domain::{pair::Pair, refusal::Refusal},
    state::State,
    store,
};

/// Blocks `blocked`: what there is between the two ends, and neither can ask the other any more.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn user_block(
    state: &Arc<State>,
    actor: UserId,
    origin: Origin,
    blocked: UserId,
) -> Result<(), ApiError> {
    state.block_changes_by_user.check(&actor)?;
    if actor == blocked {
        return Err(ApiError::invalid("user_id", "must be somebody else"));
    }
    let change = UserBlock {
        state: state.clone(),
        actor,
        origin,
        blocked,
    };
    state.host.log.commit(change).await??;
    Ok(())
}

struct UserBlock {
    state: Arc<State>,
    actor: UserId,
    origin: Origin,
    blocked: UserId,
}

#[async_trait::async_trait]
impl SingleChange for UserBlock {
    /// Whether the block is new.
    type Output = bool;

    async fn make(&self, tx: &WriteTx) -> Result<Applied<bool>, Stop> {
        let Self { actor, blocked, .. } = *self;
        let host = &self.state.host;
        self.state.both_usernames(tx, actor, blocked).await?;
        if store::blocks::between(tx, actor, blocked).await?.by_sender {
            return Ok(Applied::silent(false));
        }
        let max = self.state.config.max_blocks_per_user;
        if store::blocks::count(tx, actor).await? >= max.into() {
            return Err(Refusal::TooManyBlocks { max }.into());
        }
        let now = host.clock.now_unix();
        store::blocks::insert(tx, actor, blocked, now)
            .await
            .map_err(store::unless_gone)?;
        let mut events = end_friendship(tx, actor, blocked, now).await?;
        let pair = Pair::of(actor, blocked);
        if let Some(pending) = store::friend_requests::between(tx, pair).await? {
            events.extend(end_request(tx, &pending, actor, now).await?);
        }
        let entry = AuditEntry {
            actor: Some(actor),
            action: "user.block",
            guild: None,
            target: Some(blocked),
            details: None,
            request_id: Some(self.origin.request_id.clone()),
        };
        host.audit.record(tx, entry).await?;
        Ok(Applied {
            output: true,
            events,
        })
    }

    fn made(&self, is_new: &bool) {
        if *is_new {
            self.state.blocks_total.increment(1);
        }
    }
}

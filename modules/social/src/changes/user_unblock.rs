use std::sync::Arc;

use filament_kernel::{
    ApiError,
    audit::AuditEntry,
    db::WriteTx,
    http::Origin,
    id::UserId,
    log::{Applied, SingleChange, Stop},
};

use crate::{state::State, store};

/// Lifts the block of `blocked`, if there is one. What it ended stays ended.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn user_unblock(
    state: &Arc<State>,
    actor: UserId,
    origin: Origin,
    blocked: UserId,
) -> Result<(), ApiError> {
    state.block_changes_by_user.check(&actor)?;
    let change = UserUnblock {
        state: state.clone(),
        actor,
        origin,
        blocked,
    };
    state.host.log.commit(change).await?
}

struct UserUnblock {
    state: Arc<State>,
    actor: UserId,
    origin: Origin,
    blocked: UserId,
}

#[async_trait::async_trait]
impl SingleChange for UserUnblock {
    type Output = ();

    async fn make(&self, tx: &WriteTx) -> Result<Applied<()>, Stop> {
        if store::blocks::delete(tx, self.actor, self.blocked).await? {
            let entry = AuditEntry {
                actor: Some(self.actor),
                action: "user.unblock",
                guild: None,
                target: Some(self.blocked),
                details: None,
                request_id: Some(self.origin.request_id.clone()),
            };
            self.state.host.audit.record(tx, entry).await?;
        }
        Ok(Applied::silent(()))
    }
}

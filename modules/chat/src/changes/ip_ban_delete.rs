use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, IpBanId},
};
use serde_json::json;

use super::{
    deed::{Deed, Done, carry_out},
    ip_ban_create::ip_bans_changed,
};
use crate::{access::Actor, domain::roster::Fact, events::IpBanAction, state::State, store};

/// Lifts the ban of an address.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn ip_ban_delete(
    state: &Arc<State>,
    actor: Actor,
    ban_id: IpBanId,
) -> Result<(), ApiError> {
    carry_out(state, IpBanDelete { actor, ban_id }).await
}

struct IpBanDelete {
    actor: Actor,
    ban_id: IpBanId,
}

impl Deed for IpBanDelete {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, ban_id } = self;
        actor.now()?;
        let now = state.host.clock.now_unix();
        let lifted = store::ip_bans::lift(tx, actor.guild_id(), *ban_id, now).await?;
        let address = lifted.ok_or_else(ApiError::not_found)?;
        Ok(Done {
            output: (),
            events: vec![ip_bans_changed(actor, IpBanAction::Remove, 1, now)?],
            facts: vec![Fact::IpBanGone(address)],
            entry: Some(actor.entry(None, Some(json!({ "ban_id": ban_id })))),
        })
    }
}

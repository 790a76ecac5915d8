use std::sync::Arc;

use filament_kernel::{
    ApiError,
    audit::AuditEntry,
    db::WriteTx,
    http::Origin,
    id::GuildId,
    log::{NewEvent, Stream},
};

use super::{
    deed::{Deed, Done, carry_out},
    reassign::check_not_last_owner,
};
use crate::{
    access::Membership,
    domain::{role::Standing, roster::Fact},
    events::{self, RemovalReason, WORKSPACE_MEMBER_REMOVE},
    state::State,
    store,
};

/// Leaves a guild. The last owner cannot.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn member_leave(
    state: &Arc<State>,
    membership: Membership,
    origin: Origin,
) -> Result<(), ApiError> {
    carry_out(state, MemberLeave { membership, origin }).await
}

struct MemberLeave {
    membership: Membership,
    origin: Origin,
}

impl Deed for MemberLeave {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.membership.guild().id
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let (guild, user_id) = (self.membership.guild(), self.membership.user_id());
        if self.membership.now()?.standing == Standing::Owner {
            check_not_last_owner(guild.roster().owners())?;
        }
        if !store::members::delete(tx, guild.id, user_id).await? {
            return Err(ApiError::not_found());
        }
        let event = NewEvent::new(
            Stream::Guild(guild.id),
            WORKSPACE_MEMBER_REMOVE,
            &events::WorkspaceMemberRemove {
                guild_id: guild.id,
                user_id,
                reason: RemovalReason::Leave,
                removed_at_unix: state.host.clock.now_unix(),
                actor_user_id: user_id,
            },
        )?;
        Ok(Done {
            output: (),
            events: vec![event.expelling(user_id)],
            facts: vec![Fact::MemberGone(user_id)],
            entry: Some(AuditEntry {
                actor: Some(user_id),
                action: "member.leave",
                guild: Some(guild.id),
                target: None,
                details: None,
                request_id: Some(self.origin.request_id.clone()),
            }),
        })
    }
}

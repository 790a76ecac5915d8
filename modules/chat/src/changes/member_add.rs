use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, UserId},
};

use super::{
    deed::{Deed, Done, carry_out},
    guild_join::guild_is_full,
};
use crate::{
    access::Actor,
    domain::roster::Fact,
    events::{self, WORKSPACE_MEMBER_ADD},
    state::State,
    store::{self, members::Inserted},
};

/// Makes somebody a member; nothing happens where they are one.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn member_add(
    state: &Arc<State>,
    actor: Actor,
    user_id: UserId,
) -> Result<(), ApiError> {
    state.check_account(user_id).await?;
    carry_out(state, MemberAdd { actor, user_id }).await
}

struct MemberAdd {
    actor: Actor,
    user_id: UserId,
}

impl Deed for MemberAdd {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self { actor, user_id } = self;
        actor.now()?;
        let guild_id = actor.guild_id();
        let now = state.host.clock.now_unix();
        if store::bans::stands(tx, guild_id, *user_id, now).await? {
            return Err(ApiError::forbidden(
                "this user is banned from the guild: lift the ban first",
            ));
        }
        let default = actor.guild().roster().default_join_role();
        let role_ids: Vec<_> = default.into_iter().collect();
        let max = state.config.members_per_guild_max;
        match store::members::insert(tx, guild_id, *user_id, &role_ids, now, max).await? {
            Inserted::New => {}
            Inserted::Known => return Ok(Done::nothing(())),
            Inserted::Full => return Err(guild_is_full(max)),
        }
        let event = actor.event(
            WORKSPACE_MEMBER_ADD,
            &events::WorkspaceMemberAdd {
                guild_id,
                user_id: *user_id,
                role: actor.guild().standing_of(&role_ids),
                joined_at_unix: now,
                actor_user_id: actor.user_id(),
            },
        )?;
        Ok(Done {
            output: (),
            events: vec![event.admitting(*user_id)],
            facts: vec![Fact::Member {
                user_id: *user_id,
                role_ids,
            }],
            entry: Some(actor.entry(Some(*user_id), None)),
        })
    }
}

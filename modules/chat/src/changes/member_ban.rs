use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, UserId},
};
use serde_json::json;

use super::deed::{Deed, Done, carry_out};
use crate::{
    access::Actor,
    domain::{
        ban::{Ban, Terms},
        roster::Fact,
    },
    events::{self, RemovalReason, WORKSPACE_MEMBER_BAN, WORKSPACE_MEMBER_REMOVE},
    state::State,
    store,
};

/// Keeps somebody out of the guild, whether they are in it or not.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn member_ban(
    state: &Arc<State>,
    actor: Actor,
    user_id: UserId,
    terms: Terms,
) -> Result<(), ApiError> {
    state.check_account(user_id).await?;
    let deed = MemberBan {
        actor,
        user_id,
        terms,
    };
    carry_out(state, deed).await
}

struct MemberBan {
    actor: Actor,
    user_id: UserId,
    terms: Terms,
}

impl Deed for MemberBan {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self {
            actor,
            user_id,
            terms,
        } = self;
        let user_id = *user_id;
        actor.over_person(user_id)?;
        let (guild_id, actor_user_id) = (actor.guild_id(), actor.user_id());
        let now = state.host.clock.now_unix();
        if let Some(banned_by) = store::bans::banned_by(tx, guild_id, user_id, now).await? {
            actor.over_ban_by(banned_by)?;
        }
        let ban = Ban {
            user_id,
            banned_by_user_id: actor_user_id,
            reason: terms.reason.clone(),
            created_at_unix: now,
            expires_at_unix: terms.expires_at(now),
        };
        store::bans::set(tx, guild_id, &ban).await?;
        let mut told = vec![actor.event(
            WORKSPACE_MEMBER_BAN,
            &events::WorkspaceMemberBan {
                guild_id,
                user_id,
                banned_at_unix: now,
                actor_user_id,
            },
        )?];
        let mut facts = Vec::new();
        if store::members::delete(tx, guild_id, user_id).await? {
            let removal = actor.event(
                WORKSPACE_MEMBER_REMOVE,
                &events::WorkspaceMemberRemove {
                    guild_id,
                    user_id,
                    reason: RemovalReason::Ban,
                    removed_at_unix: now,
                    actor_user_id,
                },
            )?;
            told.push(removal.expelling(user_id));
            facts.push(Fact::MemberGone(user_id));
        }
        let details = json!({ "reason": ban.reason, "expires_at_unix": ban.expires_at_unix });
        Ok(Done {
            output: (),
            events: told,
            facts,
            entry: Some(actor.entry(Some(user_id), Some(details))),
        })
    }
}

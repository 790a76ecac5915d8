use std::{net::IpAddr, sync::Arc};

use filament_kernel::{
    ApiError, ErrorCode,
    db::WriteTx,
    id::{GuildId, IpBanId, UserId},
    log::NewEvent,
};
use serde_json::json;

use super::{
    deed::{Deed, Done, carry_out},
    effects::heard_by_holders,
};
use crate::{
    access::Actor,
    domain::{
        ban::{ADDRESSES_PER_USER_MAX, IpBan, Terms},
        permission::Permission,
        roster::Fact,
    },
    events::{self, IpBanAction, IpBanSummary, WORKSPACE_IP_BAN_SYNC},
    state::State,
    store,
};

/// What came of banning a user's addresses.
#[derive(Debug)]
pub(crate) struct IpBansCreated {
    /// How many addresses were not banned before.
    pub(crate) created_count: usize,
    /// The bans of all of the user's addresses, also of those that were banned before.
    pub(crate) ban_ids: Vec<IpBanId>,
}

/// Bans the addresses from which a user has joined the guild or written in it.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn ip_ban_create(
    state: &Arc<State>,
    actor: Actor,
    user_id: UserId,
    terms: Terms,
) -> Result<IpBansCreated, ApiError> {
    state.check_account(user_id).await?;
    let deed = IpBanCreate {
        actor,
        user_id,
        terms,
    };
    carry_out(state, deed).await
}

struct IpBanCreate {
    actor: Actor,
    user_id: UserId,
    terms: Terms,
}

/// What is to be done about one address.
enum Step {
    Ban,
    /// It is banned already, until then.
    Prolong(IpBanId, Option<i64>),
}

impl IpBanCreate {
    /// What is to be done about each of the user's addresses, if all of it fits.
    async fn steps(
        &self,
        state: &State,
        tx: &WriteTx,
        now: i64,
    ) -> Result<Vec<(IpAddr, Step)>, ApiError> {
        let guild_id = self.actor.guild_id();
        let max = ADDRESSES_PER_USER_MAX;
        let addresses = store::addresses::of_user(tx, guild_id, self.user_id, max).await?;
        let mut steps = Vec::with_capacity(addresses.len());
        let mut new = 0;
        for address in addresses {
            let step = match store::ip_bans::of_address(tx, guild_id, address, now).await? {
                Some((ban, until)) => Step::Prolong(ban, until),
                None => {
                    new += 1;
                    Step::Ban
                }
            };
            steps.push((address, step));
        }
        let max = state.config.guild_ip_ban_max_entries.into();
        if new > 0 && store::ip_bans::count(tx, guild_id, now).await? + new > max {
            return Err(ApiError::new(
                ErrorCode::QUOTA_EXCEEDED,
                format!("a guild has {max} bans of addresses at most"),
            ));
        }
        Ok(steps)
    }
}

impl Deed for IpBanCreate {
    type Output = IpBansCreated;

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<IpBansCreated>, ApiError> {
        let Self {
            actor,
            user_id,
            terms,
        } = self;
        actor.over_person(*user_id)?;
        let guild_id = actor.guild_id();
        let now = state.host.clock.now_unix();
        let steps = self.steps(state, tx, now).await?;
        // What has ended makes room for what is new.
        store::ip_bans::delete_ended(tx, guild_id, now).await?;
        let ends = terms.expires_at(now);
        let mut created_count = 0;
        let (mut ban_ids, mut facts) = (Vec::new(), Vec::new());
        for (address, step) in steps {
            let expires_at = match step {
                Step::Ban => {
                    let ban = IpBan {
                        ban_id: state.host.ids.next(),
                        source_user_id: *user_id,
                        reason: terms.reason.clone(),
                        created_at_unix: now,
                        expires_at_unix: ends,
                    };
                    store::ip_bans::insert(tx, guild_id, address, &ban, actor.user_id()).await?;
                    created_count += 1;
                    ban_ids.push(ban.ban_id);
                    ends
                }
                Step::Prolong(ban_id, until) => {
                    let later = until.zip(ends).map(|(one, other)| one.max(other));
                    store::ip_bans::prolong(tx, guild_id, ban_id, later).await?;
                    ban_ids.push(ban_id);
                    later
                }
            };
            facts.push(Fact::IpBan {
                address,
                expires_at,
            });
        }
        let output = IpBansCreated {
            created_count,
            ban_ids,
        };
        if output.ban_ids.is_empty() {
            return Ok(Done::nothing(output));
        }
        let event = ip_bans_changed(actor, IpBanAction::Upsert, output.ban_ids.len(), now)?;
        let details = json!({
            "reason": terms.reason, "expires_at_unix": ends, "created_count": created_count,
        });
        Ok(Done {
            output,
            events: vec![event],
            facts,
            entry: Some(actor.entry(Some(*user_id), Some(details))),
        })
    }
}

/// Tells those who may see them that bans of addresses have changed.
pub(super) fn ip_bans_changed(
    actor: &Actor,
    action: IpBanAction,
    changed_count: usize,
    now: i64,
) -> Result<NewEvent, ApiError> {
    let event = actor.event(
        WORKSPACE_IP_BAN_SYNC,
        &events::WorkspaceIpBanSync {
            guild_id: actor.guild_id(),
            summary: IpBanSummary {
                action,
                changed_count,
            },
            updated_at_unix: now,
            actor_user_id: actor.user_id(),
        },
    )?;
    let effect = heard_by_holders(actor.guild(), Permission::ManageIpBans);
    Ok(event.with_effect(effect))
}

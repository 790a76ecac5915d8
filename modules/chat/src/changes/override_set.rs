use std::sync::Arc;

use filament_kernel::{
    ApiError, ErrorCode,
    db::WriteTx,
    id::{ChannelId, GuildId, RoleId, UserId},
    log::{Effect, NewEvent},
};
use serde_json::json;

use super::{
    deed::{Deed, Done, carry_out},
    effects::{heard_by_viewers_old_and_new, revises_sight},
};
use crate::{
    access::Actor,
    domain::{
        channel_override::{OVERRIDDEN_MEMBERS_MAX, Override, Overrides, Target, TargetKind},
        role::Standing,
        roster::Fact,
    },
    events::{
        self, OverrideFields, WORKSPACE_CHANNEL_PERMISSION_OVERRIDE_UPDATE,
        WORKSPACE_CHANNEL_ROLE_OVERRIDE_UPDATE,
    },
    state::State,
    store,
};

/// Whom an override is about, as the caller names them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject {
    /// The role that stands for it.
    Standing(Standing),
    /// A role or a member.
    Target(Target),
}

/// Lets a channel say something else about a role or a member; nothing at all where `says` is silent.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn override_set(
    state: &Arc<State>,
    actor: Actor,
    channel_id: ChannelId,
    subject: Subject,
    says: Override,
) -> Result<(), ApiError> {
    let deed = OverrideSet {
        actor,
        channel_id,
        subject,
        says,
    };
    carry_out(state, deed).await
}

struct OverrideSet {
    actor: Actor,
    channel_id: ChannelId,
    subject: Subject,
    says: Override,
}

impl OverrideSet {
    /// Whom it is about and what was said of them, if the actor may do this to them.
    fn target(&self) -> Result<(Target, Override), ApiError> {
        let actor = &self.actor;
        let member = actor.now()?;
        let roster = actor.guild().roster();
        let target = match self.subject {
            Subject::Target(target) => target,
            Subject::Standing(standing) => {
                let role = roster.standing_role(standing.role());
                Target::Role(role.ok_or_else(ApiError::not_found)?.0)
            }
        };
        let was = roster.override_of(self.channel_id, target);
        let was = was.ok_or_else(ApiError::not_found)?;
        drop(roster);
        match target {
            Target::Role(role) => {
                actor.over_role(role)?;
            }
            // What is said of somebody who has left can still be taken back.
            Target::Member(user) if actor.guild().member(user).is_none() && !was.is_silent() => {}
            Target::Member(user) => {
                // Nobody lifts a denial that was set on them; what is said of an owner changes nothing.
                if user != actor.user_id() || !member.is_owner() {
                    actor.over_member(user)?;
                }
            }
        }
        // Taking a denial back grants as much as allowing does.
        member.check_grant(was.difference(self.says))?;
        Ok((target, was))
    }

    /// Who has left and must make room for what is said of one more member, if the channel speaks of as many as it may.
    fn makes_room(&self, target: Target, was: Override) -> Result<Option<UserId>, ApiError> {
        let roster = self.actor.guild().roster();
        let overrides = roster.overrides(self.channel_id);
        let members = overrides.map_or(0, Overrides::members);
        let is_one_more = matches!(target, Target::Member(_)) && was.is_silent();
        if !is_one_more || members < OVERRIDDEN_MEMBERS_MAX {
            return Ok(None);
        }
        let leaver = roster.overridden_leaver(self.channel_id);
        leaver.map(Some).ok_or_else(|| {
            ApiError::new(
                ErrorCode::QUOTA_EXCEEDED,
                format!("a channel has overrides for {OVERRIDDEN_MEMBERS_MAX} members at most"),
            )
        })
    }

    /// Clients know the three standings by their words, and all else by ids; each is told what it knows.
    fn events(&self, target: Target, now: i64) -> Result<Vec<NewEvent>, ApiError> {
        let actor = &self.actor;
        let (guild_id, channel_id) = (actor.guild_id(), self.channel_id);
        let (updated_at_unix, actor_user_id) = (now, actor.user_id());
        let updated_fields = OverrideFields {
            allow: self.says.allow.iter().collect(),
            deny: self.says.deny.iter().collect(),
        };
        let (target_kind, id) = match target {
            Target::Role(role) => (TargetKind::Role, role.to_string()),
            Target::Member(user) => (TargetKind::Member, user.to_string()),
        };
        let standing = match target {
            Target::Role(role) => self.standing(role),
            Target::Member(_) => None,
        };
        let mut told = Vec::new();
        if let Some(role) = standing {
            told.push(actor.event(
                WORKSPACE_CHANNEL_ROLE_OVERRIDE_UPDATE,
                &events::ChannelRoleOverrideUpdate {
                    guild_id,
                    channel_id,
                    role,
                    updated_fields: &updated_fields,
                    updated_at_unix,
                    actor_user_id,
                },
            )?);
        }
        told.push(actor.event(
            WORKSPACE_CHANNEL_PERMISSION_OVERRIDE_UPDATE,
            &events::ChannelPermissionOverrideUpdate {
                guild_id,
                channel_id,
                target_kind,
                target_id: standing.map_or(&id, |standing| standing.word()),
                updated_fields: &updated_fields,
                updated_at_unix,
                actor_user_id,
            },
        )?);
        Ok(told)
    }

    fn standing(&self, role: RoleId) -> Option<Standing> {
        let role = self.actor.guild().roster().role(role)?;
        Standing::of_role(role.kind)
    }
}

impl Deed for OverrideSet {
    type Output = ();

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<()>, ApiError> {
        let Self {
            actor, channel_id, ..
        } = self;
        let (target, said) = self.target()?;
        if said == self.says {
            return Ok(Done::nothing(()));
        }
        let was = actor.overrides(*channel_id)?;
        let forgotten = self.makes_room(target, said)?.map(Target::Member);
        let forgotten = forgotten.map(|leaver| (leaver, Override::default()));
        let mut facts = Vec::new();
        for (target, says) in forgotten.into_iter().chain([(target, self.says)]) {
            store::overrides::set(tx, actor.guild_id(), *channel_id, target, says).await?;
            facts.push(Fact::Override {
                channel_id: *channel_id,
                target,
                says,
            });
        }
        let told = self.events(target, state.host.clock.now_unix())?;
        let effect = Effect {
            seen_by: revises_sight(actor.guild()).seen_by,
            ..heard_by_viewers_old_and_new(actor.guild(), *channel_id, was)
        };
        let (user, role) = match target {
            Target::Member(user) => (Some(user), None),
            Target::Role(role) => (None, Some(role)),
        };
        let details = json!({
            "channel_id": channel_id, "role_id": role,
            "allow": self.says.allow.iter().collect::<Vec<_>>(),
            "deny": self.says.deny.iter().collect::<Vec<_>>(),
        });
        Ok(Done {
            output: (),
            events: told
                .into_iter()
                .map(|event| event.with_effect(effect.clone()))
                .collect(),
            facts,
            entry: Some(actor.entry(user, Some(details))),
        })
    }
}

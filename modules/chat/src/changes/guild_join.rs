use std::sync::Arc;

use filament_kernel::{
    ApiError, ErrorCode,
    audit::AuditEntry,
    db::WriteTx,
    http::Origin,
    id::{GuildId, RoleId, UserId},
    limits::limit_key,
    log::{Applied, NewEvent, SingleChange, Stop, Stream},
};
use poem_openapi::Enum;
use serde::Serialize;
use serde_json::json;

use crate::{
    directory::Guild,
    domain::{
        ban::{IP_BANNED, USER_BANNED},
        guild::Visibility,
        roster::Fact,
    },
    events::{self, WORKSPACE_MEMBER_ADD},
    sightings::Sighting,
    state::State,
    store::{self, members::Inserted},
};

/// What came of asking to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize)]
#[oai(rename_all = "snake_case", rename = "GuildJoinOutcome")]
#[serde(rename_all = "snake_case")]
pub enum JoinOutcome {
    /// The caller is a member now.
    Accepted,
    /// The caller was one before.
    AlreadyMember,
}

/// Joins a public guild. One that is private, and not the caller's, does not exist for them.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn guild_join(
    state: &Arc<State>,
    user_id: UserId,
    origin: Origin,
    guild_id: GuildId,
) -> Result<JoinOutcome, ApiError> {
    state.joins_by_ip.check(&limit_key(origin.client_ip))?;
    state.joins_by_user.check(&user_id)?;
    let guild = state.guild(guild_id).await?;
    if guild.member(user_id).is_some() {
        return Ok(JoinOutcome::AlreadyMember);
    }
    let now = state.host.clock.now_unix();
    let change = GuildJoin {
        sighting: state.sightings.of(guild_id, user_id, origin.client_ip, now),
        request_id: origin.request_id,
        state: state.clone(),
        guild,
        user_id,
    };
    change.allowed()?;
    let log = state.host.log.clone();
    state
        .scope
        .finish(async move {
            match log.commit(change).await?? {
                Joined::Member { outcome, .. } => Ok(outcome),
                Joined::KeptOut(ban) => Err(ban.refusal()),
            }
        })
        .await
}

struct GuildJoin {
    state: Arc<State>,
    guild: Arc<Guild>,
    user_id: UserId,
    sighting: Sighting,
    request_id: Arc<str>,
}

/// 409: the guild has as many members as it may.
pub(super) fn guild_is_full(max: u32) -> ApiError {
    ApiError::new(
        ErrorCode::QUOTA_EXCEEDED,
        format!("a guild has {max} members at most"),
    )
}

/// What keeps somebody out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ban {
    User,
    Address,
}

impl Ban {
    fn refusal(self) -> ApiError {
        match self {
            Self::User => ApiError::new(USER_BANNED, "you are banned from this guild"),
            Self::Address => {
                ApiError::new(IP_BANNED, "this guild takes nobody in from your address")
            }
        }
    }
}

/// What a join came to.
enum Joined {
    /// With the roles that the member holds.
    Member {
        outcome: JoinOutcome,
        role_ids: Vec<RoleId>,
    },
    /// It leaves a trace, so it is made like any change.
    KeptOut(Ban),
}

impl GuildJoin {
    fn allowed(&self) -> Result<(), ApiError> {
        let visibility = self.guild.roster().visibility();
        match visibility {
            Visibility::Public => Ok(()),
            Visibility::Private => Err(ApiError::not_found()),
        }
    }

    async fn ban(&self, tx: &WriteTx, now: i64) -> Result<Option<Ban>, ApiError> {
        let guild = &self.guild;
        if store::bans::stands(tx, guild.id, self.user_id, now).await? {
            return Ok(Some(Ban::User));
        }
        let by_address = guild.is_address_banned(self.sighting.address, now);
        Ok(by_address.then_some(Ban::Address))
    }

    /// What `refused_joins` remembers it by.
    fn who(&self) -> (GuildId, UserId) {
        (self.guild.id, self.user_id)
    }

    /// Who keeps order wants to know who tries, but not how often.
    fn refused_entry(&self, ban: Ban) -> AuditEntry {
        AuditEntry {
            actor: Some(self.user_id),
            action: "member.join_refused",
            guild: Some(self.guild.id),
            target: Some(self.user_id),
            details: Some(json!({ "address_ban_match": ban == Ban::Address })),
            request_id: Some(self.request_id.clone()),
        }
    }
}

#[async_trait::async_trait]
impl SingleChange for GuildJoin {
    type Output = Joined;

    async fn make(&self, tx: &WriteTx) -> Result<Applied<Joined>, Stop> {
        let Self {
            state,
            guild,
            user_id,
            ..
        } = self;
        self.allowed().map_err(Stop::Refused)?;
        let now = state.host.clock.now_unix();
        if let Some(ban) = self.ban(tx, now).await? {
            if state.refused_joins.is_due(&self.who(), now) {
                let entry = self.refused_entry(ban);
                state.host.audit.record(tx, entry).await?;
            }
            return Ok(Applied::silent(Joined::KeptOut(ban)));
        }
        let default = guild.roster().default_join_role();
        let role_ids: Vec<RoleId> = default.into_iter().collect();
        let max = state.config.members_per_guild_max;
        match store::members::insert(tx, guild.id, *user_id, &role_ids, now, max).await? {
            Inserted::New => {}
            Inserted::Known => {
                return Ok(Applied::silent(Joined::Member {
                    outcome: JoinOutcome::AlreadyMember,
                    role_ids: store::members::roles_of(tx, guild.id, *user_id).await?,
                }));
            }
            Inserted::Full => return Err(Stop::Refused(guild_is_full(max))),
        }
        if let Some(seen) = self.sighting.unrecorded() {
            store::addresses::record(tx, seen, now).await?;
        }
        let event = NewEvent::new(
            Stream::Guild(guild.id),
            WORKSPACE_MEMBER_ADD,
            &events::WorkspaceMemberAdd {
                guild_id: guild.id,
                user_id: *user_id,
                role: guild.standing_of(&role_ids),
                joined_at_unix: now,
                actor_user_id: *user_id,
            },
        )?;
        Ok(Applied {
            output: Joined::Member {
                outcome: JoinOutcome::Accepted,
                role_ids,
            },
            events: vec![event.admitting(*user_id)],
        })
    }

    fn made(&self, joined: &Joined) {
        let now = self.state.host.clock.now_unix();
        match joined {
            Joined::Member { outcome, role_ids } => {
                let fact = Fact::Member {
                    user_id: self.user_id,
                    role_ids: role_ids.clone(),
                };
                self.state.directory.note(self.guild.id, [fact]);
                if *outcome == JoinOutcome::Accepted {
                    self.state.sightings.recorded(&self.sighting, now);
                }
            }
            // Noted anew only when it was recorded anew: the next is due a day after the last entry.
            Joined::KeptOut(_) if self.state.refused_joins.is_due(&self.who(), now) => {
                self.state.refused_joins.recorded(self.who(), now);
            }
            Joined::KeptOut(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        access::Membership,
        domain::{permission::Permission, role::Standing},
        testing::World,
    };

    fn join(world: &World, guild: &Arc<Guild>, user_id: UserId) -> GuildJoin {
        let here = std::net::Ipv4Addr::LOCALHOST.into();
        GuildJoin {
            state: world.state.clone(),
            sighting: world.state.sightings.of(guild.id, user_id, here, 0),
            guild: guild.clone(),
            user_id,
            request_id: "request".into(),
        }
    }

    fn outcome(joined: Result<Joined, ApiError>) -> Option<JoinOutcome> {
        match joined {
            Ok(Joined::Member { outcome, .. }) => Some(outcome),
            Ok(Joined::KeptOut(_)) | Err(_) => None,
        }
    }

    #[tokio::test]
    async fn who_joins_is_a_member_at_once_and_once() {
        let world = World::new().await;
        let guild = world.guild(world.user(), Visibility::Public).await;
        let user_id = world.user();
        assert!(Membership::of(&world.state, user_id, guild).await.is_err());

        let loaded = world.state.guild(guild).await.expect("a guild");
        let (joined, events) = world.change(join(&world, &loaded, user_id)).await;
        assert_eq!(outcome(joined), Some(JoinOutcome::Accepted));
        assert_eq!(events[0].admits, Some(user_id));
        let member = loaded.member(user_id).expect("a member");
        assert_eq!(member.standing, Standing::Member);
        assert!(member.sees_channel() && !member.may(Permission::ManageRoles));

        let (again, events) = world.change(join(&world, &loaded, user_id)).await;
        assert_eq!(outcome(again), Some(JoinOutcome::AlreadyMember));
        assert!(events.is_empty());
    }

    #[tokio::test]
    async fn a_private_guild_does_not_exist_for_who_would_join() {
        let world = World::new().await;
        let guild = world.guild(world.user(), Visibility::Private).await;
        let loaded = world.state.guild(guild).await.expect("a guild");
        let (refused, events) = world.change(join(&world, &loaded, world.user())).await;
        assert_eq!(refused.err().map(|e| e.code().status), Some(404));
        assert!(events.is_empty());
    }
}

use std::{net::IpAddr, sync::Arc};

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::{GuildId, RoleId, UserId},
    limits::limit_key,
    log::{Applied, Change, NewEvent, Stream},
};
use poem_openapi::Enum;
use serde::Serialize;

use crate::{
    directory::Guild,
    domain::{
        guild::Visibility,
        role::{RoleKind, Standing},
        roster::Fact,
    },
    events::{self, WORKSPACE_MEMBER_ADD},
    state::State,
    store,
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
    client_ip: IpAddr,
    guild_id: GuildId,
) -> Result<JoinOutcome, ApiError> {
    state.joins_by_ip.check(&limit_key(client_ip))?;
    state.joins_by_user.check(&user_id)?;
    let guild = state.guild(guild_id).await?;
    if guild.member(user_id).is_some() {
        return Ok(JoinOutcome::AlreadyMember);
    }
    let change = GuildJoin {
        state: state.clone(),
        guild,
        user_id,
    };
    change.allowed()?;
    let log = state.host.log.clone();
    state
        .scope
        .finish(async move { Ok(log.commit(change).await??.outcome) })
        .await
}

struct GuildJoin {
    state: Arc<State>,
    guild: Arc<Guild>,
    user_id: UserId,
}

/// What a join came to, with the roles that the member holds.
struct Joined {
    outcome: JoinOutcome,
    role_ids: Vec<RoleId>,
}

impl GuildJoin {
    fn allowed(&self) -> Result<(), ApiError> {
        match self.guild.visibility() {
            Visibility::Public => Ok(()),
            Visibility::Private => Err(ApiError::not_found()),
        }
    }

    async fn make(&self, tx: &WriteTx) -> Result<Applied<Result<Joined, ApiError>>, ApiError> {
        if let Err(refusal) = self.allowed() {
            return Ok(Applied::silent(Err(refusal)));
        }
        let Self {
            state,
            guild,
            user_id,
        } = self;
        let now = state.host.clock.now_unix();
        let role = store::roles::standing(tx, guild.id, RoleKind::Member).await?;
        if !store::members::insert(tx, guild.id, *user_id, role, now).await? {
            return Ok(Applied::silent(Ok(Joined {
                outcome: JoinOutcome::AlreadyMember,
                role_ids: store::members::roles_of(tx, guild.id, *user_id).await?,
            })));
        }
        let event = NewEvent::new(
            Stream::Guild(guild.id),
            WORKSPACE_MEMBER_ADD,
            &events::WorkspaceMemberAdd {
                guild_id: guild.id,
                user_id: *user_id,
                role: Standing::Member,
                joined_at_unix: now,
                actor_user_id: *user_id,
            },
        )?;
        Ok(Applied {
            output: Ok(Joined {
                outcome: JoinOutcome::Accepted,
                role_ids: vec![role],
            }),
            events: vec![event.admitting(*user_id)],
        })
    }
}

#[async_trait::async_trait]
impl Change for GuildJoin {
    type Output = Result<Joined, ApiError>;

    async fn apply(batch: &[&Self], tx: &WriteTx) -> Result<Vec<Applied<Self::Output>>, ApiError> {
        let mut applied = Vec::with_capacity(batch.len());
        for one in batch {
            applied.push(one.make(tx).await?);
        }
        Ok(applied)
    }

    fn committed(&self, output: &Self::Output) {
        if let Ok(joined) = output {
            let fact = Fact::Member {
                user_id: self.user_id,
                role_ids: joined.role_ids.clone(),
            };
            self.state.directory.note(self.guild.id, fact);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::Membership, testing::World};

    #[tokio::test]
    async fn who_joins_is_a_member_at_once_and_once() {
        let world = World::new().await;
        let guild = world.guild(world.user(), Visibility::Public).await;
        let user_id = world.user();
        assert!(Membership::of(&world.state, user_id, guild).await.is_err());

        let loaded = world.state.guild(guild).await.expect("a guild");
        let join = || GuildJoin {
            state: world.state.clone(),
            guild: loaded.clone(),
            user_id,
        };
        let (joined, events) = world.change(join()).await;
        assert_eq!(joined.map(|j| j.outcome).ok(), Some(JoinOutcome::Accepted));
        assert_eq!(events[0].admits, Some(user_id));
        let member = loaded.member(user_id).expect("a member");
        assert_eq!(member.standing, Standing::Member);
        assert!(member.can_see_channels() && !member.can_create_channels());

        let (again, events) = world.change(join()).await;
        assert_eq!(
            again.map(|j| j.outcome).ok(),
            Some(JoinOutcome::AlreadyMember)
        );
        assert!(events.is_empty());
    }

    #[tokio::test]
    async fn a_private_guild_does_not_exist_for_who_would_join() {
        let world = World::new().await;
        let guild = world.guild(world.user(), Visibility::Private).await;
        let change = GuildJoin {
            state: world.state.clone(),
            guild: world.state.guild(guild).await.expect("a guild"),
            user_id: world.user(),
        };
        let (refused, events) = world.change(change).await;
        assert_eq!(refused.err().map(|e| e.code().status), Some(404));
        assert!(events.is_empty());
    }
}

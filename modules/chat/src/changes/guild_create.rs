use std::sync::Arc;

use filament_kernel::{
    ApiError,
    db::WriteTx,
    id::UserId,
    log::{Applied, NewEvent, SingleChange, Stop, Stream},
};

use crate::{
    domain::{
        guild::{GUILD_CREATION_LIMIT_REACHED, Guild, Visibility},
        role::Standing,
    },
    events::{self, WORKSPACE_MEMBER_ADD},
    state::State,
    store,
};

/// Makes a guild that belongs to `owner`.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn guild_create(
    state: &Arc<State>,
    owner: UserId,
    name: String,
    visibility: Visibility,
) -> Result<Guild, ApiError> {
    let change = GuildCreate {
        state: state.clone(),
        owner,
        name,
        visibility,
    };
    state.host.log.commit(change).await?
}

struct GuildCreate {
    state: Arc<State>,
    owner: UserId,
    name: String,
    visibility: Visibility,
}

/// Nothing is noted in the directory: the guild is read when it is first asked for.
#[async_trait::async_trait]
impl SingleChange for GuildCreate {
    type Output = Guild;

    async fn make(&self, tx: &WriteTx) -> Result<Applied<Guild>, Stop> {
        let Self { state, owner, .. } = self;
        let max = state.config.max_created_guilds_per_user;
        if !store::guilds::count_creation(tx, *owner, max).await? {
            return Err(Stop::Refused(ApiError::new(
                GUILD_CREATION_LIMIT_REACHED,
                format!("one user may have created {max} guilds at most"),
            )));
        }
        let guild = Guild {
            guild_id: state.host.ids.next(),
            name: self.name.clone(),
            visibility: self.visibility,
        };
        let now = state.host.clock.now_unix();
        store::guilds::insert(tx, &guild, *owner, now).await?;
        let roles = store::roles::insert_standing(tx, guild.guild_id, &state.host.ids).await?;
        store::guilds::set_default_join_role(tx, guild.guild_id, Some(roles.member)).await?;
        let max = state.config.members_per_guild_max;
        store::members::insert(tx, guild.guild_id, *owner, &[roles.owner], now, max).await?;

        let event = NewEvent::new(
            Stream::Guild(guild.guild_id),
            WORKSPACE_MEMBER_ADD,
            &events::WorkspaceMemberAdd {
                guild_id: guild.guild_id,
                user_id: *owner,
                role: Standing::Owner,
                joined_at_unix: now,
                actor_user_id: *owner,
            },
        )?;
        Ok(Applied {
            output: guild,
            events: vec![event.admitting(*owner)],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{access::Membership, testing::World};

    fn by(world: &World, owner: UserId) -> GuildCreate {
        GuildCreate {
            state: world.state.clone(),
            owner,
            name: "Home".into(),
            visibility: Visibility::Private,
        }
    }

    #[tokio::test]
    async fn a_guild_starts_with_its_owner_and_the_standing_roles() {
        let world = World::new().await;
        let (owner, stranger) = (world.user(), world.user());
        let (guild, events) = world.change(by(&world, owner)).await;
        let guild = guild.expect("is made");

        assert_eq!(events.len(), 1);
        assert_eq!(events[0].name, "workspace_member_add");
        assert_eq!(events[0].admits, Some(owner));
        assert_eq!(events[0].topic, Stream::Guild(guild.guild_id).into());
        let data: serde_json::Value = serde_json::from_str(&events[0].data).expect("JSON");
        assert_eq!(data["role"], "owner");

        let owner = Membership::of(&world.state, owner, guild.guild_id).await;
        assert_eq!(
            owner.and_then(|m| m.now()).map(|m| m.standing).ok(),
            Some(Standing::Owner)
        );
        let stranger = Membership::of(&world.state, stranger, guild.guild_id).await;
        assert_eq!(stranger.err().map(|e| e.code().status), Some(404));

        let roles = store::roles::of_guild(world.state.host.db.read(), guild.guild_id).await;
        assert_eq!(roles.map(|roles| roles.len()).ok(), Some(4));
    }

    #[tokio::test]
    async fn over_the_cap_nothing_is_made_and_nobody_else_is_hurt() {
        let world = World::new().await;
        let (greedy, other) = (world.user(), world.user());
        let changes: Vec<GuildCreate> = (0..7)
            .map(|_| by(&world, greedy))
            .chain([by(&world, other)])
            .collect();
        let (outputs, _) = world.batch(changes).await;
        let made: Vec<bool> = outputs.iter().map(Result::is_ok).collect();
        assert_eq!(made, [true, true, true, true, true, false, false, true]);
        let refusal = outputs.into_iter().find_map(Result::err).map(|e| e.code());
        assert_eq!(refusal, Some(GUILD_CREATION_LIMIT_REACHED));

        let db = world.state.host.db.read();
        let made = store::guilds::of_user(db, greedy, None, 100).await;
        assert_eq!(made.map(|guilds| guilds.len()).ok(), Some(5));
    }
}

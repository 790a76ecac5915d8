use std::sync::Arc;

use filament_kernel::{ApiError, db::WriteTx, id::GuildId};
use serde_json::json;

use super::deed::{Deed, Done, carry_out};
use crate::{
    access::Actor,
    domain::{
        guild::{Guild, Visibility},
        roster::Fact,
    },
    events::{self, WORKSPACE_UPDATE},
    state::State,
    store,
};

/// What of a guild is to change.
#[derive(Debug, Clone)]
pub(crate) struct GuildChange {
    pub(crate) name: Option<String>,
    pub(crate) visibility: Option<Visibility>,
}

/// Gives a guild another name or visibility.
#[tracing::instrument(level = "debug", skip_all, err(level = "debug"))]
pub(crate) async fn guild_update(
    state: &Arc<State>,
    actor: Actor,
    change: GuildChange,
) -> Result<Guild, ApiError> {
    carry_out(state, GuildUpdate { actor, change }).await
}

struct GuildUpdate {
    actor: Actor,
    change: GuildChange,
}

impl Deed for GuildUpdate {
    type Output = Guild;

    fn guild_id(&self) -> GuildId {
        self.actor.guild_id()
    }

    async fn make(&self, state: &State, tx: &WriteTx) -> Result<Done<Guild>, ApiError> {
        let Self { actor, change } = self;
        actor.now()?;
        let guild = store::guilds::find(tx, actor.guild_id()).await?;
        let was = guild.ok_or_else(ApiError::not_found)?;
        let GuildChange { name, visibility } = change.clone();
        let guild = Guild {
            name: name.clone().unwrap_or_else(|| was.name.clone()),
            visibility: visibility.unwrap_or(was.visibility),
            ..was
        };
        if guild == was {
            return Ok(Done::nothing(guild));
        }
        store::guilds::update(tx, &guild).await?;
        let event = actor.event(
            WORKSPACE_UPDATE,
            &events::WorkspaceUpdate {
                guild_id: guild.guild_id,
                updated_fields: events::WorkspaceFields { name, visibility },
                updated_at_unix: state.host.clock.now_unix(),
                actor_user_id: actor.user_id(),
            },
        )?;
        let details = json!({
            "name": guild.name, "visibility": guild.visibility,
            "was": { "name": was.name, "visibility": was.visibility },
        });
        Ok(Done {
            events: vec![event],
            facts: vec![Fact::Visibility(guild.visibility)],
            entry: Some(actor.entry(None, Some(details))),
            output: guild,
        })
    }
}

//! Guilds, channels, membership, permissions and messages. `README.md` tells what is where and why.
//!
//! A message's way: [`api`] or [`gateway`] takes it, [`access`] shows from the [`directory`] in memory that its author may
//! write there, [`changes`] commits it to the log together with its event, and [`store`] writes the row.

mod access;
mod api;
mod changes;
mod config;
mod directory;
mod domain;
mod entity;
mod events;
mod gateway;
mod page;
mod state;
mod store;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use filament_kernel::{
    Context, Instance, Manifest, Module,
    db::EntityShape,
    module::{Stability, StartError},
    ports::Accounts,
    service::PortKey,
};

pub use config::Config;

use state::State;

/// The module.
pub struct Chat;

impl Module for Chat {
    type Config = Config;
    type Api = api::Api;

    const MANIFEST: Manifest = Manifest {
        id: "chat",
        summary: "Guilds, channels, membership, permissions and messages",
        stability: Stability::Stable,
        requires: &[PortKey::of::<dyn Accounts>()],
        uses: &[],
        provides: &[],
        routes: &[
            "POST /guilds",
            "GET /guilds",
            "GET /guilds/public",
            "POST /guilds/{guild_id}/join",
            "GET /guilds/{guild_id}/members",
            "POST /guilds/{guild_id}/channels",
            "GET /guilds/{guild_id}/channels",
            "GET /guilds/{guild_id}/channels/{channel_id}/permissions/self",
            "POST /guilds/{guild_id}/channels/{channel_id}/messages",
            "GET /guilds/{guild_id}/channels/{channel_id}/messages",
        ],
        commands: &[gateway::SUBSCRIBE, gateway::MESSAGE_CREATE],
        operator_commands: &[],
        events: &[
            events::MESSAGE_CREATE,
            events::CHANNEL_CREATE,
            events::WORKSPACE_MEMBER_ADD,
            events::PRESENCE_SYNC,
            events::PRESENCE_UPDATE,
            events::SUBSCRIBED,
        ],
        tables: &[
            "guilds",
            "guild_creators",
            "channels",
            "roles",
            "guild_members",
            "guild_member_roles",
            "messages",
        ],
        metrics: &[state::MESSAGES_TOTAL, state::GUILD_LOADS_TOTAL],
    };

    fn entities() -> Vec<EntityShape> {
        entity::shapes()
    }

    async fn prepare(context: Context<Config>) -> Result<Instance<api::Api>, StartError> {
        let accounts = context.required::<dyn Accounts>()?;
        let state = State::new(context.config, context.host, context.scope, accounts);
        let state = Arc::new(state);
        let probed = state.clone();
        Ok(Instance::new(api::new(&state))
            .command(gateway::SUBSCRIBE, state.clone(), gateway::subscribe)
            .command(
                gateway::MESSAGE_CREATE,
                Arc::new(state.clone()),
                gateway::message_create,
            )
            .audience(Arc::new(gateway::Guilds(state)))
            .probe(move || {
                let state = probed.clone();
                async move {
                    store::guilds::public(state.host.db.read(), None, 1).await?;
                    Ok(())
                }
            }))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_manifest_names_what_there_is() {
        let document = filament_kernel::module::document_of::<api::Api>();
        let mut routes = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                for field in ["operationId", "summary", "description", "tags", "security"] {
                    assert!(
                        operation.get(field).is_some(),
                        "{method} {path} has no {field}"
                    );
                }
                routes.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let claimed = Chat::MANIFEST.routes.iter().map(ToString::to_string);
        assert_eq!(routes, claimed.collect());

        let tables: BTreeSet<String> = Chat::entities().into_iter().map(|e| e.table).collect();
        let claimed = Chat::MANIFEST.tables.iter().map(ToString::to_string);
        assert_eq!(tables, claimed.collect());
    }

    #[test]
    fn names_on_the_wire_are_those_of_the_contract() {
        let document = filament_kernel::module::document_of::<api::Api>();
        let schemas = &document["components"]["schemas"];
        let values = |name: &str| schemas[name]["enum"].to_string();
        assert_eq!(values("ChannelKind"), r#"["text","voice"]"#);
        assert_eq!(values("GuildVisibility"), r#"["private","public"]"#);
        assert_eq!(values("GuildRole"), r#"["member","moderator","owner"]"#);
        assert_eq!(
            values("GuildJoinOutcome"),
            r#"["accepted","already_member"]"#
        );
        let required = |name: &str| schemas[name]["required"].to_string();
        assert_eq!(
            required("Message"),
            r#"["message_id","guild_id","channel_id","author_id","content","markdown_tokens","attachments","reactions","created_at_unix"]"#
        );
        assert_eq!(required("MessageCreate"), r#"["content"]"#);
        assert_eq!(required("GuildCreate"), r#"["name"]"#);
    }
}

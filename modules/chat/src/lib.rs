//! Guilds, channels, membership, permissions and messages. `README.md` tells what is where and why.
//!
//! A message's way: [`api`] or [`gateway`] takes it, [`access`] shows from the [`directory`] in memory that its author may
//! write there, [`changes`] commits it to the log together with its event, and [`store`] writes the row.

mod access;
mod api;
mod changes;
mod config;
mod daily;
mod directory;
mod domain;
mod entity;
mod events;
mod gateway;
mod housekeeping;
mod page;
mod sightings;
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
            "PATCH /guilds/{guild_id}",
            "DELETE /guilds/{guild_id}",
            "POST /guilds/{guild_id}/leave",
            "POST /guilds/{guild_id}/transfer",
            "GET /guilds/{guild_id}/members",
            "POST /guilds/{guild_id}/members/{user_id}",
            "PATCH /guilds/{guild_id}/members/{user_id}",
            "POST /guilds/{guild_id}/members/{user_id}/kick",
            "POST /guilds/{guild_id}/members/{user_id}/ban",
            "GET /guilds/{guild_id}/bans",
            "DELETE /guilds/{guild_id}/bans/{user_id}",
            "GET /guilds/{guild_id}/audit",
            "GET /guilds/{guild_id}/ip-bans",
            "POST /guilds/{guild_id}/ip-bans/by-user",
            "DELETE /guilds/{guild_id}/ip-bans/{ban_id}",
            "GET /guilds/{guild_id}/roles",
            "POST /guilds/{guild_id}/roles",
            "PATCH /guilds/{guild_id}/roles/{role_id}",
            "DELETE /guilds/{guild_id}/roles/{role_id}",
            "POST /guilds/{guild_id}/roles/reorder",
            "POST /guilds/{guild_id}/roles/default",
            "POST /guilds/{guild_id}/roles/{role_id}/members/{user_id}",
            "DELETE /guilds/{guild_id}/roles/{role_id}/members/{user_id}",
            "POST /guilds/{guild_id}/channels",
            "GET /guilds/{guild_id}/channels",
            "PATCH /guilds/{guild_id}/channels/{channel_id}",
            "DELETE /guilds/{guild_id}/channels/{channel_id}",
            "POST /guilds/{guild_id}/channels/reorder",
            "GET /guilds/{guild_id}/channels/{channel_id}/permissions/self",
            "POST /guilds/{guild_id}/channels/{channel_id}/overrides/{role}",
            "POST /guilds/{guild_id}/channels/{channel_id}/permission-overrides/{kind}/{id}",
            "POST /guilds/{guild_id}/channels/{channel_id}/messages",
            "GET /guilds/{guild_id}/channels/{channel_id}/messages",
            "PATCH /guilds/{guild_id}/channels/{channel_id}/messages/{message_id}",
            "DELETE /guilds/{guild_id}/channels/{channel_id}/messages/{message_id}",
            "POST /guilds/{guild_id}/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
            "DELETE /guilds/{guild_id}/channels/{channel_id}/messages/{message_id}/reactions/{emoji}",
        ],
        commands: &[gateway::SUBSCRIBE, gateway::MESSAGE_CREATE],
        operator_commands: &[],
        events: &[
            events::MESSAGE_CREATE,
            events::MESSAGE_UPDATE,
            events::MESSAGE_DELETE,
            events::MESSAGE_REACTION,
            events::CHANNEL_CREATE,
            events::CHANNEL_UPDATE,
            events::CHANNEL_DELETE,
            events::CHANNEL_REORDER,
            events::WORKSPACE_UPDATE,
            events::WORKSPACE_DELETE,
            events::WORKSPACE_MEMBER_ADD,
            events::WORKSPACE_MEMBER_UPDATE,
            events::WORKSPACE_MEMBER_REMOVE,
            events::WORKSPACE_MEMBER_BAN,
            events::WORKSPACE_ROLE_CREATE,
            events::WORKSPACE_ROLE_UPDATE,
            events::WORKSPACE_ROLE_DELETE,
            events::WORKSPACE_ROLE_REORDER,
            events::WORKSPACE_ROLE_ASSIGNMENT_ADD,
            events::WORKSPACE_ROLE_ASSIGNMENT_REMOVE,
            events::WORKSPACE_CHANNEL_ROLE_OVERRIDE_UPDATE,
            events::WORKSPACE_CHANNEL_PERMISSION_OVERRIDE_UPDATE,
            events::WORKSPACE_IP_BAN_SYNC,
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
            "channel_role_overrides",
            "channel_member_overrides",
            "guild_bans",
            "guild_ip_bans",
            "guild_addresses",
            "doomed_channels",
            "messages",
            "message_emoji",
            "reactions",
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
        state
            .scope
            .task("housekeeping", housekeeping::run(state.clone()));
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

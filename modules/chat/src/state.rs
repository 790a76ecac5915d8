//! What handlers and commands share.

use std::{net::IpAddr, sync::Arc};

use filament_kernel::{
    ApiError, Required,
    id::{GuildId, UserId},
    limits::RateLimit,
    module::Host,
    ports::Accounts,
    scope::Scope,
};
use metrics::Counter;
use tokio::sync::Notify;

use crate::{
    Config,
    daily::Daily,
    directory::{Directory, Guild},
    sightings::Sightings,
    store,
};

pub(crate) const MESSAGES_TOTAL: &str = "filament_chat_messages_total";
pub(crate) const GUILD_LOADS_TOTAL: &str = "filament_chat_guild_loads_total";

/// One instance of the module.
pub(crate) struct State {
    pub(crate) config: Arc<Config>,
    pub(crate) host: Host,
    pub(crate) scope: Scope,
    pub(crate) accounts: Required<dyn Accounts>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) sightings: Sightings,
    /// Whose refusal by a guild that has banned them was noted lately in its audit log.
    pub(crate) refused_joins: Daily<(GuildId, UserId)>,
    /// Rung when there is something to be deleted; see [`crate::housekeeping`].
    pub(crate) doomed: Notify,
    pub(crate) joins_by_ip: RateLimit<IpAddr>,
    pub(crate) joins_by_user: RateLimit<UserId>,
    pub(crate) messages_total: Counter,
    guild_loads_total: Counter,
}

impl State {
    pub(crate) fn new(
        config: Arc<Config>,
        host: Host,
        scope: Scope,
        accounts: Required<dyn Accounts>,
    ) -> Self {
        Self {
            directory: Directory::of_host(&host.kept),
            sightings: Sightings::default(),
            refused_joins: Daily::default(),
            doomed: Notify::new(),
            joins_by_ip: RateLimit::per_minute(config.directory_join_requests_per_minute_per_ip),
            joins_by_user: RateLimit::per_minute(
                config.directory_join_requests_per_minute_per_user,
            ),
            messages_total: metrics::counter!(MESSAGES_TOTAL),
            guild_loads_total: metrics::counter!(GUILD_LOADS_TOTAL),
            config,
            host,
            scope,
            accounts,
        }
    }

    /// 404 for a user who does not exist.
    pub(crate) async fn check_account(&self, user: UserId) -> Result<(), ApiError> {
        let known = self.accounts.accounts(&[user]).await?;
        if known.is_empty() {
            return Err(ApiError::not_found());
        }
        Ok(())
    }

    /// A guild, from memory if it is there. Whoever gets one has shown nothing yet: see [`crate::access`].
    pub(crate) async fn guild(&self, id: GuildId) -> Result<Arc<Guild>, ApiError> {
        let load = async || {
            self.guild_loads_total.increment(1);
            store::guilds::roster(self.host.db.read(), id).await
        };
        self.directory
            .get(id, load)
            .await?
            .ok_or_else(ApiError::not_found)
    }
}

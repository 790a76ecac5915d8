//! Friendships, requests for them, and blocks. `README.md` tells what is where and why.
//!
//! A request's way: [`api`] takes it, [`changes`] judges it by the rules of [`domain`] in the transaction that commits it to the log
//! together with the [`events`] for both sides, and [`store`] writes the row.

mod api;
mod changes;
mod config;
mod domain;
mod entity;
mod events;
mod services;
mod state;
mod store;

use std::sync::Arc;

use filament_kernel::{
    Context, Instance, Manifest, Module,
    db::EntityShape,
    module::{Stability, StartError},
    ports::{Accounts, Friends},
    service::PortKey,
};

pub use config::Config;

use services::StoredFriends;
use state::State;

/// The module.
pub struct Social;

impl Module for Social {
    type Config = Config;
    type Api = api::Api;

    const MANIFEST: Manifest = Manifest {
        id: "social",
        summary: "Friendships, requests for them, and blocks",
        stability: Stability::Stable,
        requires: &[PortKey::of::<dyn Accounts>()],
        uses: &[],
        provides: &[PortKey::of::<dyn Friends>()],
        routes: &[
            "GET /friends",
            "DELETE /friends/{user_id}",
            "POST /friends/requests",
            "GET /friends/requests",
            "POST /friends/requests/{request_id}/accept",
            "DELETE /friends/requests/{request_id}",
            "GET /blocks",
            "POST /blocks/{user_id}",
            "DELETE /blocks/{user_id}",
        ],
        commands: &[],
        operator_commands: &[],
        events: &[
            events::FRIEND_REQUEST_CREATE,
            events::FRIEND_REQUEST_UPDATE,
            events::FRIEND_REQUEST_DELETE,
            events::FRIEND_REMOVE,
        ],
        tables: &[
            "friendships",
            "friend_requests",
            "friend_request_tallies",
            "user_blocks",
        ],
        metrics: &[
            state::FRIEND_REQUESTS_TOTAL,
            state::FRIENDSHIPS_TOTAL,
            state::BLOCKS_TOTAL,
        ],
    };

    fn entities() -> Vec<EntityShape> {
        entity::shapes()
    }

    async fn prepare(context: Context<Config>) -> Result<Instance<api::Api>, StartError> {
        let accounts = context.required::<dyn Accounts>()?;
        let state = Arc::new(State::new(context.config, context.host, accounts));
        Ok(Instance::new(api::new(&state)).provide::<dyn Friends>(Arc::new(StoredFriends)))
    }
}

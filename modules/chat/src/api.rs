//! The routes, by resource.

mod channels;
mod guilds;
mod members;
mod messages;

use std::sync::Arc;

use filament_kernel::ApiError;
use poem_openapi::Tags;

use crate::state::State;

/// All of them.
pub(crate) type Api = (
    guilds::Guilds,
    members::Members,
    channels::Channels,
    messages::Messages,
);

pub(crate) fn new(state: &Arc<State>) -> Api {
    (
        guilds::Guilds(state.clone()),
        members::Members(state.clone()),
        channels::Channels(state.clone()),
        messages::Messages(state.clone()),
    )
}

#[derive(Tags)]
enum Tag {
    /// Guilds and the public directory.
    Guilds,
    /// Who is in a guild.
    Members,
    /// Channels, and what one may do in them.
    Channels,
    /// Messages.
    Messages,
}

type Answer<T> = Result<filament_kernel::http::JsonBytes<T>, ApiError>;

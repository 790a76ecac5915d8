//! The routes, by resource.

mod channels;
mod guilds;
mod members;
mod messages;
mod moderation;
mod optional_body;
mod overrides;
mod reactions;
mod roles;

use std::sync::Arc;

use filament_kernel::{ApiError, ErrorCode, http::JsonBytes};
use poem_openapi::{Object, Tags};
use serde::Serialize;

use crate::state::State;

/// All of them.
pub(crate) type Api = (
    guilds::Guilds,
    members::Members,
    moderation::Moderation,
    roles::Roles,
    channels::Channels,
    overrides::Overrides,
    messages::Messages,
    reactions::Reactions,
);

pub(crate) fn new(state: &Arc<State>) -> Api {
    (
        guilds::Guilds(state.clone()),
        members::Members(state.clone()),
        moderation::Moderation(state.clone()),
        roles::Roles(state.clone()),
        channels::Channels(state.clone()),
        overrides::Overrides(state.clone()),
        messages::Messages(state.clone()),
        reactions::Reactions(state.clone()),
    )
}

#[derive(Tags)]
enum Tag {
    /// Guilds and the public directory.
    Guilds,
    /// Who is in a guild.
    Members,
    /// Keeping order: bans, and who did what.
    Moderation,
    /// Roles, and who holds them.
    Roles,
    /// Channels, and what one may do in them.
    Channels,
    /// Messages and reactions to them.
    Messages,
}

type Answer<T> = Result<JsonBytes<T>, ApiError>;

/// It is done.
#[derive(Debug, Object, Serialize)]
struct Accepted {
    /// Always true.
    accepted: bool,
}

fn accepted() -> Answer<Accepted> {
    JsonBytes::of(&Accepted { accepted: true })
}

/// 400 for a change that names none of its fields.
fn nothing_to_change(fields: &str) -> ApiError {
    ApiError::new(
        ErrorCode::INVALID_REQUEST,
        format!("one of these fields must be given: {fields}"),
    )
}

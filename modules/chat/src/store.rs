//! The queries; the only code that names entities.

pub(crate) mod channels;
pub(crate) mod guilds;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod roles;

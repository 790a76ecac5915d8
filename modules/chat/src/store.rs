//! The queries; the only code that names entities.

pub(crate) mod addresses;
pub(crate) mod bans;
pub(crate) mod channels;
pub(crate) mod doomed;
pub(crate) mod guilds;
pub(crate) mod ip_bans;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod overrides;
pub(crate) mod reactions;
pub(crate) mod roles;

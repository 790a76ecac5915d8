//! The module's section; `config.default.toml` beside the crate's manifest documents each key.

use filament_kernel::config::Section;
use serde::{Deserialize, Serialize};
use validator::Validate;

/// The most friends that one list holds: with the longest names they take 56 KiB of the 64 that an answer may have.
pub(crate) const MAX_FRIENDS: u32 = 500;
/// The most requests that each of the two lists of one answer holds: with the longest names both take 54 KiB of the 64.
pub(crate) const MAX_REQUESTS: u32 = 100;

/// The section `[social]`.
#[derive(Debug, Clone, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[validate(range(min = 1, max = MAX_FRIENDS))]
    pub max_friends_per_user: u32,
    #[validate(range(min = 1, max = MAX_REQUESTS))]
    pub max_outgoing_requests_per_user: u32,
    #[validate(range(min = 1, max = MAX_REQUESTS))]
    pub max_incoming_requests_per_user: u32,
    #[validate(range(min = 1, max = 1_000_000))]
    pub friend_requests_per_minute_per_user: u32,
    #[validate(range(min = 1, max = 1_000_000))]
    pub friend_requests_per_day_per_recipient: u32,
    #[validate(range(min = 1, max = 10_000))]
    pub max_blocks_per_user: u32,
    #[validate(range(min = 1, max = 1_000_000))]
    pub block_changes_per_minute_per_user: u32,
}

impl Section for Config {
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
}

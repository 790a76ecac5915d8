//! The module's section; `config.default.toml` beside the crate's manifest documents each key.

use filament_kernel::config::Section;
use serde::{Deserialize, Serialize};
use validator::Validate;

/// The section `[chat]`.
#[derive(Debug, Clone, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[validate(range(max = 100_000))]
    pub max_created_guilds_per_user: u32,
    #[validate(range(min = 1, max = 1_000_000))]
    pub directory_join_requests_per_minute_per_ip: u32,
    #[validate(range(min = 1, max = 1_000_000))]
    pub directory_join_requests_per_minute_per_user: u32,
    #[validate(range(min = 1, max = 2_000))]
    pub message_max_chars: u32,
    #[validate(range(min = 1, max = 100))]
    pub history_page_max: u32,
    #[validate(range(min = 1, max = 64))]
    pub reactions_per_message_max: u32,
    #[validate(range(min = 1, max = 32))]
    pub reactors_listed_max: usize,
    #[validate(range(min = 1, max = 200))]
    pub members_page_max: u32,
    #[validate(range(min = 1, max = 100_000))]
    pub members_per_guild_max: u32,
    #[validate(range(min = 1, max = 1_000))]
    pub channels_per_guild_max: usize,
    #[validate(range(min = 1, max = 100))]
    pub audit_list_limit_max: u32,
    #[validate(range(max = 4_096))]
    pub guild_ip_ban_max_entries: u32,
}

impl Section for Config {
    const DEFAULTS: &'static str = include_str!("../config.default.toml");
}

//! The flat names of keys: those of the deployment guide, and those that existing deployments set.

/// The variable that names the configuration file; it is no key, because it decides where keys are read.
pub(super) const CONFIG_VARIABLE: &str = "FILAMENT_CONFIG";

/// Each variable and the key that it sets. Keys of modules that a build leaves out may stand here.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("FILAMENT_PROFILE", "profile"),
    ("FILAMENT_DATABASE_URL", "database.url"),
    ("FILAMENT_ATTACHMENT_ROOT", "storage.attachment_root"),
    ("FILAMENT_LIVEKIT_API_KEY", "voice.livekit_api_key"),
    ("FILAMENT_LIVEKIT_API_SECRET", "voice.livekit_api_secret"),
    ("FILAMENT_LIVEKIT_URL", "voice.livekit_url"),
    ("FILAMENT_BIND_ADDR", "server.bind_addr"),
    ("FILAMENT_TRUSTED_PROXY_CIDRS", "server.trusted_proxy_cidrs"),
    (
        "FILAMENT_RATE_LIMIT_REQUESTS_PER_MINUTE",
        "http.rate_limit_requests_per_minute",
    ),
    (
        "FILAMENT_AUTH_ROUTE_REQUESTS_PER_MINUTE",
        "auth.route_requests_per_minute",
    ),
    (
        "FILAMENT_GATEWAY_INGRESS_EVENTS_PER_WINDOW",
        "gateway.ingress_events_per_window",
    ),
    (
        "FILAMENT_GATEWAY_INGRESS_WINDOW_SECS",
        "gateway.ingress_window_secs",
    ),
    (
        "FILAMENT_MEDIA_TOKEN_REQUESTS_PER_MINUTE",
        "voice.token_requests_per_minute",
    ),
    (
        "FILAMENT_MEDIA_PUBLISH_REQUESTS_PER_MINUTE",
        "voice.publish_requests_per_minute",
    ),
    (
        "FILAMENT_DIRECTORY_JOIN_REQUESTS_PER_MINUTE_PER_IP",
        "chat.directory_join_requests_per_minute_per_ip",
    ),
    (
        "FILAMENT_DIRECTORY_JOIN_REQUESTS_PER_MINUTE_PER_USER",
        "chat.directory_join_requests_per_minute_per_user",
    ),
    (
        "FILAMENT_MAX_CREATED_GUILDS_PER_USER",
        "chat.max_created_guilds_per_user",
    ),
    ("FILAMENT_AUDIT_LIST_LIMIT_MAX", "chat.audit_list_limit_max"),
    (
        "FILAMENT_GUILD_IP_BAN_MAX_ENTRIES",
        "chat.guild_ip_ban_max_entries",
    ),
    ("FILAMENT_HCAPTCHA_SITE_KEY", "auth.hcaptcha_site_key"),
    ("FILAMENT_HCAPTCHA_SECRET", "auth.hcaptcha_secret"),
    ("FILAMENT_HCAPTCHA_VERIFY_URL", "auth.hcaptcha_verify_url"),
];

/// The key that a flat name stands for.
pub(super) fn key_of(variable: &str) -> Option<&'static str> {
    let mut aliases = ALIASES.iter();
    aliases
        .find(|(name, _)| *name == variable)
        .map(|(_, key)| *key)
}

/// The variable by which `key` is best known: its flat name, or else `FILAMENT_<SECTION>__<KEY>`.
pub(super) fn variable_of(key: &str) -> String {
    let alias = ALIASES.iter().find(|(_, aliased)| *aliased == key);
    alias.map_or_else(|| full_name_of(key), |(name, _)| (*name).to_owned())
}

/// `FILAMENT_<SECTION>__<KEY>`.
pub(super) fn full_name_of(key: &str) -> String {
    format!("FILAMENT_{}", key.replace('.', "__").to_ascii_uppercase())
}

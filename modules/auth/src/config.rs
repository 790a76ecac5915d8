//! The module's section; `config.default.toml` beside the crate's manifest documents each key.

use filament_kernel::config::{Complaint, Profile, Secret, Section, unset_if_empty};
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::{
    captcha,
    domain::token_key::{InvalidKey, TokenKey},
};

/// The longest time that an access token can be made good for.
pub(crate) const MAX_ACCESS_TOKEN_TTL_SECS: u32 = 3_600;

/// The section `[auth]`.
#[derive(Debug, Clone, Deserialize, Serialize, Validate)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[validate(range(min = 1, max = 1_000_000))]
    pub route_requests_per_minute: u32,
    #[validate(range(min = 60, max = MAX_ACCESS_TOKEN_TTL_SECS))]
    pub access_token_ttl_secs: u32,
    #[validate(range(min = 3_600, max = 31_536_000))]
    pub session_ttl_secs: u32,
    #[validate(range(min = 3_600, max = 157_680_000))]
    pub session_max_secs: u32,
    #[serde(deserialize_with = "unset_if_empty")]
    pub token_key: Option<Secret>,
    #[serde(deserialize_with = "unset_if_empty")]
    pub token_keys_previous: Option<Secret>,
    #[validate(range(min = 8, max = 1_048_576))]
    pub argon2_memory_kib: u32,
    #[validate(range(min = 1, max = 100))]
    pub argon2_iterations: u32,
    #[validate(range(min = 1, max = 16))]
    pub argon2_parallelism: u32,
    #[validate(range(min = 1, max = 64))]
    pub hash_concurrency: u32,
    #[validate(range(max = 4_096))]
    pub hash_queue: u32,
    #[validate(range(min = 1, max = 1_000))]
    pub lockout_failures: u32,
    #[validate(range(min = 1, max = 100_000))]
    pub lockout_address_failures: u32,
    #[validate(range(min = 1, max = 3_600))]
    pub lockout_secs: u32,
    #[serde(deserialize_with = "unset_if_empty")]
    #[validate(length(max = 256))]
    pub hcaptcha_site_key: Option<String>,
    #[serde(deserialize_with = "unset_if_empty")]
    pub hcaptcha_secret: Option<Secret>,
    pub hcaptcha_verify_url: String,
    #[validate(range(min = 1, max = 10_000))]
    pub profile_changes_per_hour: u32,
    #[validate(range(min = 1, max = 2_097_152))]
    pub avatar_max_bytes: usize,
    #[validate(range(min = 1, max = 6_291_456))]
    pub banner_max_bytes: usize,
}

impl Config {
    /// The configured key, if there is one.
    pub(crate) fn current_key(&self) -> Result<Option<TokenKey>, InvalidKey> {
        let text = self.token_key.as_ref().map(|key| key.expose().trim());
        text.map(str::parse).transpose()
    }

    /// The keys that were current before.
    pub(crate) fn previous_keys(&self) -> Result<Vec<TokenKey>, InvalidKey> {
        let text = self.token_keys_previous.as_ref().map(Secret::expose);
        text.unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl Section for Config {
    const DEFAULTS: &'static str = include_str!("../config.default.toml");

    fn check(&self, _profile: Profile) -> Vec<Complaint> {
        let mut found = Vec::new();
        if let Err(problem) = self.current_key() {
            found.push(Complaint::new("token_key", problem.to_string()));
        }
        if let Err(problem) = self.previous_keys() {
            found.push(Complaint::new(
                "token_keys_previous",
                format!("each {problem}"),
            ));
        }
        let (site_key, secret) = (&self.hcaptcha_site_key, &self.hcaptcha_secret);
        if site_key.is_none() && secret.is_some() {
            let problem = "must be set together with `hcaptcha_secret`";
            found.push(Complaint::new("hcaptcha_site_key", problem));
        }
        if secret.is_none() && site_key.is_some() {
            let problem = "must be set together with `hcaptcha_site_key`";
            found.push(Complaint::new("hcaptcha_secret", problem));
        }
        if let Err(problem) = captcha::check_url(&self.hcaptcha_verify_url) {
            found.push(Complaint::new("hcaptcha_verify_url", problem));
        }
        let least = self.argon2_parallelism.saturating_mul(8);
        if self.argon2_memory_kib < least {
            found.push(Complaint::new(
                "argon2_memory_kib",
                format!("must be at least {least}, 8 for each lane of `argon2_parallelism`"),
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Vec<Complaint> {
        let mut config: Config =
            toml::from_str(Config::DEFAULTS).expect("the defaults are a section");
        change(&mut config);
        config.validate().expect("each key by itself is good");
        config.check(Profile::Production)
    }

    #[test]
    fn keys_that_are_no_keys_are_refused_without_being_shown() {
        assert_eq!(config(|_| {}), []);
        let good = TokenKey::generate().encoded();
        assert_eq!(
            config(|c| c.token_key = Some(Secret::new(good.clone()))),
            []
        );
        assert_eq!(
            config(|c| c.token_keys_previous = Some(Secret::new(format!(" {good},{good} ,")))),
            []
        );
        let found = config(|c| {
            c.token_key = Some(Secret::new("hunter2"));
            c.token_keys_previous = Some(Secret::new(format!("{good},hunter2")));
            c.argon2_parallelism = 16;
            c.argon2_memory_kib = 64;
        });
        let keys: Vec<&str> = found
            .iter()
            .map(|complaint| complaint.key.as_str())
            .collect();
        assert_eq!(
            keys,
            ["token_key", "token_keys_previous", "argon2_memory_kib"]
        );
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn a_captcha_is_configured_wholly_and_asked_safely() {
        let keys = |change: fn(&mut Config)| -> Vec<String> {
            config(change).into_iter().map(|found| found.key).collect()
        };
        let secret = |c: &mut Config| c.hcaptcha_secret = Some(Secret::new("hunter2"));
        assert_eq!(keys(secret), ["hcaptcha_site_key"]);
        let site_key = |c: &mut Config| c.hcaptcha_site_key = Some("site".to_string());
        assert_eq!(keys(site_key), ["hcaptcha_secret"]);
        assert!(
            config(|c| {
                secret(c);
                site_key(c);
            })
            .is_empty()
        );
        assert_eq!(
            keys(|c| c.hcaptcha_verify_url = "http://hcaptcha.example.org/".to_string()),
            ["hcaptcha_verify_url"]
        );
    }

    #[test]
    fn keys_that_are_not_set_are_none() {
        let config: Config = toml::from_str(Config::DEFAULTS).expect("the defaults are a section");
        assert_eq!(config.token_key, None);
        assert_eq!(config.token_keys_previous, None);
        assert!(config.current_key().is_ok_and(|key| key.is_none()));
        assert!(config.previous_keys().is_ok_and(|keys| keys.is_empty()));
    }

    #[test]
    fn values_out_of_bounds_can_be_judged() {
        let mut config: Config =
            toml::from_str(Config::DEFAULTS).expect("the defaults are a section");
        config.argon2_parallelism = u32::MAX;
        let found = config.check(Profile::Dev);
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

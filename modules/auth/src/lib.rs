//! Accounts, sessions and access tokens.
//!
//! Reading order: `README.md`, then [`domain`] (rules without IO), `sessions` (the life of a session) with `revocations` (how its end
//! reaches access tokens), `accounts` (the life of an account), `hasher` (the queue for passwords), `captcha`, `changes` (how profiles
//! change), `store` (queries), `api` (routes), `operator` (the operator's commands), `services` (what others get).

mod accounts;
mod actor;
mod api;
mod captcha;
mod changes;
mod config;
mod domain;
mod entity;
mod events;
mod hasher;
mod key_file;
mod operator;
mod revocations;
mod services;
mod sessions;
mod store;

use std::sync::Arc;

use filament_kernel::{
    db::EntityShape,
    module::{Context, Host, Instance, Manifest, Module, Stability, StartError},
    ports::{self, Authenticator, Blobs, Friends},
    scope::Scope,
    service::PortKey,
};

use crate::{
    accounts::Accounts,
    api::{
        CaptchaApi, Login, Logout, Me, PasswordApi, Pictures, ProfileApi, Refresh, Register,
        SessionsApi, Users,
    },
    captcha::Captcha,
    changes::{KeptLimit, Profiles},
    domain::{
        access_token::Keyring, attempts::Attempts, lifetime::Lifetime, lockout::Rule,
        password::Passwords,
    },
    hasher::Hasher,
    operator::Operator,
    revocations::{Keeper, Revocations},
    services::{StoredAccounts, TokenAuthenticator},
    sessions::Sessions,
};
pub use crate::{api::Api, config::Config};

/// The module.
pub struct Auth;

impl Module for Auth {
    type Config = Config;
    type Api = Api;

    const MANIFEST: Manifest = Manifest {
        id: "auth",
        summary: "Accounts, sessions and access tokens",
        stability: Stability::Stable,
        requires: &[],
        uses: &[PortKey::of::<dyn Blobs>(), PortKey::of::<dyn Friends>()],
        provides: &[
            PortKey::of::<dyn Authenticator>(),
            PortKey::of::<dyn ports::Accounts>(),
        ],
        routes: &[
            "POST /auth/register",
            "POST /auth/login",
            "POST /auth/refresh",
            "POST /auth/logout",
            "GET /auth/captcha",
            "GET /auth/sessions",
            "DELETE /auth/sessions",
            "DELETE /auth/sessions/{session_id}",
            "POST /auth/password",
            "GET /auth/me",
            "PATCH /users/me/profile",
            "GET /users/{user_id}/profile",
            "POST /users/lookup",
            "POST /users/me/profile/avatar",
            "DELETE /users/me/profile/avatar",
            "GET /users/{user_id}/avatar",
            "POST /users/me/profile/banner",
            "DELETE /users/me/profile/banner",
            "GET /users/{user_id}/banner",
        ],
        commands: &[],
        operator_commands: operator::COMMANDS,
        events: &[
            events::PROFILE_UPDATE,
            events::PROFILE_AVATAR_UPDATE,
            events::PROFILE_BANNER_UPDATE,
        ],
        tables: &["users", "sessions"],
        metrics: &[
            "filament_auth_hash_seconds",
            "filament_auth_hashes_refused_total",
            "filament_auth_lockouts_total",
            "filament_auth_logins_total",
            "filament_auth_refreshes_total",
        ],
    };

    fn entities() -> Vec<EntityShape> {
        vec![
            EntityShape::of::<entity::user::Entity>(),
            EntityShape::of::<entity::session::Entity>(),
        ]
    }

    async fn prepare(context: Context<Config>) -> Result<Instance<Api>, StartError> {
        let changes_per_hour = context.config.profile_changes_per_hour;
        let profiles = Arc::new(Profiles {
            host: context.host.clone(),
            friends: context.optional(),
            blobs: context.optional(),
            limit: context
                .host
                .kept
                .get::<KeptLimit>()
                .per_hour(changes_per_hour),
        });
        let Context {
            config,
            host,
            scope,
            ..
        } = context;

        let keyring = keyring(&config, &host, &scope).await?;
        let passwords = Passwords::new(
            config.argon2_memory_kib,
            config.argon2_iterations,
            config.argon2_parallelism,
        )
        .map_err(|error| format!("the parameters of Argon2 are not good: {error}"))?;
        let hasher = Arc::new(Hasher::new(
            passwords,
            &scope,
            config.hash_concurrency,
            config.hash_queue,
        ));
        let revocations = Arc::new(Revocations::load(&host.db, host.clock.now_ms()).await?);
        let keeper = Keeper {
            revocations: revocations.clone(),
            db: host.db.clone(),
            gateway: host.gateway.clone(),
            clock: host.clock.clone(),
            scope: scope.clone(),
        };
        scope.task("revocations", keeper.run());
        let captcha = captcha(&config)?.map(Arc::new);
        let none_yet = !store::users::any(host.db.read()).await?;
        if none_yet {
            scope.task("first account", accounts::explain_the_first());
        }
        let sessions = Arc::new(Sessions {
            host: host.clone(),
            scope,
            keyring,
            revocations,
            access_token_ttl_secs: config.access_token_ttl_secs,
            lifetime: Lifetime::of_secs(config.session_ttl_secs, config.session_max_secs),
            turns: host.kept.get(),
        });
        let accounts = Arc::new(Accounts::new(sessions.clone(), none_yet));
        let operator = Operator {
            host: host.clone(),
            hasher: hasher.clone(),
            accounts: accounts.clone(),
            sessions: sessions.clone(),
        };

        let locked_after = |failures| Rule {
            failures,
            lock_secs: config.lockout_secs,
        };
        let api = (
            Register {
                hasher: hasher.clone(),
                captcha: captcha.clone(),
                accounts: accounts.clone(),
            },
            Login {
                host: host.clone(),
                hasher: hasher.clone(),
                captcha: captcha.clone(),
                attempts: Attempts {
                    failures: host.kept.get(),
                    account: locked_after(config.lockout_failures),
                    address: locked_after(config.lockout_address_failures),
                },
                sessions: sessions.clone(),
            },
            Refresh {
                sessions: sessions.clone(),
            },
            Logout {
                sessions: sessions.clone(),
            },
            CaptchaApi(captcha),
            SessionsApi(sessions.clone()),
            PasswordApi {
                host: host.clone(),
                hasher,
                accounts,
                failures: host.kept.get(),
                rule: locked_after(config.lockout_failures),
            },
            Me {
                db: host.db.clone(),
            },
            ProfileApi(profiles.clone()),
            Users {
                db: host.db.clone(),
            },
            Pictures {
                profiles,
                avatar_max_bytes: config.avatar_max_bytes,
                banner_max_bytes: config.banner_max_bytes,
            },
        );
        Ok(operator
            .offer(Instance::new(api))
            .provide::<dyn Authenticator>(Arc::new(TokenAuthenticator(sessions)))
            .provide::<dyn ports::Accounts>(Arc::new(StoredAccounts(host.db)))
            .limit_routes("/auth/", config.route_requests_per_minute))
    }
}

fn captcha(config: &Config) -> Result<Option<Captcha>, StartError> {
    let (Some(site_key), Some(secret)) = (&config.hcaptcha_site_key, &config.hcaptcha_secret)
    else {
        return Ok(None);
    };
    let url = captcha::check_url(&config.hcaptcha_verify_url)?;
    Captcha::new(url, site_key.clone(), secret.clone())
        .map(Some)
        .map_err(|error| format!("hCaptcha cannot be asked from here: {error}").into())
}

async fn keyring(config: &Config, host: &Host, scope: &Scope) -> Result<Keyring, StartError> {
    let current = match config.current_key()? {
        Some(key) => key,
        None => {
            let folder = host.data_dir.join(Auth::MANIFEST.id);
            scope
                .blocking(move || key_file::read_or_make(&folder))
                .await??
        }
    };
    Keyring::new(&current, &config.previous_keys()?)
        .map_err(|error| format!("the keys of the access tokens are not good: {error:?}").into())
}

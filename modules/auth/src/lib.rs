//! Accounts, sessions and access tokens.
//!
//! Reading order: `README.md`, then [`domain`] (rules without IO), `sessions` (the life of a session) with `revocations` (how its end
//! reaches access tokens), `hasher` (the queue for passwords), `store` (queries), `api` (routes), `services` (what others get).

mod api;
mod config;
mod domain;
mod entity;
mod hasher;
mod key_file;
mod revocations;
mod services;
mod sessions;
mod store;

use std::sync::Arc;

use filament_kernel::{
    db::EntityShape,
    module::{Context, Host, Instance, Manifest, Module, Stability, StartError},
    ports::{Accounts, Authenticator},
    scope::Scope,
    service::PortKey,
};

pub use crate::{api::Api, config::Config};
use crate::{
    api::{Login, Logout, Me, Refresh, Register},
    domain::{access_token::Keyring, lockout::Lockout, password::Passwords},
    hasher::Hasher,
    revocations::{Keeper, Revocations},
    services::{StoredAccounts, TokenAuthenticator},
    sessions::Sessions,
};

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
        uses: &[],
        provides: &[
            PortKey::of::<dyn Authenticator>(),
            PortKey::of::<dyn Accounts>(),
        ],
        routes: &[
            "POST /auth/register",
            "POST /auth/login",
            "POST /auth/refresh",
            "POST /auth/logout",
            "GET /auth/me",
        ],
        commands: &[],
        operator_commands: &[],
        events: &[],
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
            scope.clone(),
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
        let sessions = Arc::new(Sessions {
            host: host.clone(),
            scope,
            keyring,
            revocations,
            access_token_ttl_secs: config.access_token_ttl_secs,
            session_ttl_secs: config.session_ttl_secs,
        });

        let api = (
            Register {
                host: host.clone(),
                hasher: hasher.clone(),
            },
            Login {
                host: host.clone(),
                hasher,
                lockout: Lockout::new(config.lockout_failures, config.lockout_secs),
                sessions: sessions.clone(),
            },
            Refresh {
                sessions: sessions.clone(),
            },
            Logout {
                sessions: sessions.clone(),
            },
            Me {
                db: host.db.clone(),
            },
        );
        Ok(Instance::new(api)
            .provide::<dyn Authenticator>(Arc::new(TokenAuthenticator(sessions)))
            .provide::<dyn Accounts>(Arc::new(StoredAccounts(host.db)))
            .limit_routes("/auth/", config.route_requests_per_minute))
    }
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

//! The life of an account: made, given another password, switched off and on again.
//!
//! What makes old proofs worthless (another password, being switched off) happens together with the end of the sessions that were
//! opened with them, under the lock on the account's row that a log-in takes too.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use filament_kernel::{ApiError, audit::AuditEntry, caller::Caller, http::Origin, id::UserId};
use serde_json::{Value, json};

use crate::{
    actor::Actor,
    domain::username::Username,
    sessions::Sessions,
    store::{
        self,
        sessions::{Ended, Which},
    },
};

/// Tells the operator of a server that has no account how the first one is made.
pub(crate) async fn explain_the_first() {
    tracing::info!(
        "there is no account yet: make the first one with `filament-server admin user create NAME`, or register in a client; \
         whoever can run `filament-server admin` on this machine is the operator"
    );
}

/// Makes and changes accounts.
pub(crate) struct Accounts {
    sessions: Arc<Sessions>,
    /// There was no account when this instance came up, and it has made none since.
    none_yet: AtomicBool,
}

impl Accounts {
    /// `none_yet` tells that there is no account.
    pub(crate) fn new(sessions: Arc<Sessions>, none_yet: bool) -> Self {
        Self {
            sessions,
            none_yet: AtomicBool::new(none_yet),
        }
    }

    /// Adds an account that somebody registers. What happened is not told: a taken name is recorded just as a free one is, at the
    /// same cost, and changes nothing.
    pub(crate) async fn register(
        &self,
        username: Username,
        password_hash: String,
        origin: Origin,
    ) -> Result<(), ApiError> {
        let refused = AuditEntry {
            actor: None,
            action: "account.register_refused",
            guild: None,
            target: None,
            details: Some(json!({ "reason": "the name is taken" })),
            request_id: Some(origin.request_id.clone()),
        };
        self.add(
            username,
            password_hash,
            Actor::Owner(origin),
            "account.register",
            Some(refused),
        )
        .await?;
        Ok(())
    }

    /// Adds an account for the operator. Answers `None` when the name is taken.
    pub(crate) async fn create(
        &self,
        username: Username,
        password_hash: String,
        request_id: Arc<str>,
    ) -> Result<Option<UserId>, ApiError> {
        let action = "account.create";
        let operator = Actor::Operator(request_id.clone());
        let added = self
            .add(username, password_hash, operator, action, None)
            .await?;
        if let Some(user_id) = added {
            tracing::info!(
                target: "filament::security",
                %request_id,
                %user_id,
                action,
                "the operator made an account"
            );
        }
        Ok(added)
    }

    async fn add(
        &self,
        username: Username,
        password_hash: String,
        actor: Actor,
        action: &'static str,
        refused: Option<AuditEntry>,
    ) -> Result<Option<UserId>, ApiError> {
        let host = &self.sessions.host;
        let user_id: UserId = host.ids.next();
        let now_ms = host.clock.now_ms();
        let audit = host.audit.clone();
        let added = host
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let added =
                        store::users::add(tx, user_id, username, password_hash, now_ms).await?;
                    let entry = if added {
                        Some(actor.entry(action, user_id, Value::Null))
                    } else {
                        refused
                    };
                    if let Some(entry) = entry {
                        audit.record(tx, entry).await?;
                    }
                    Ok(added)
                })
            })
            .await?;
        if added && self.none_yet.swap(false, Ordering::Relaxed) {
            tracing::info!(%user_id, "the first account was made");
        }
        Ok(added.then_some(user_id))
    }

    /// Puts `new_hash` in the place of `verified`, the hash that the caller proved to know the password of, and ends all of the caller's
    /// other sessions.
    ///
    /// # Errors
    /// 401 when the password was changed, the account switched off or the caller's session ended in the meantime.
    pub(crate) async fn change_password(
        &self,
        caller: Caller,
        verified: String,
        new_hash: String,
        origin: Origin,
    ) -> Result<(), ApiError> {
        let sessions = self.sessions.clone();
        let changed = async move {
            let Caller {
                user_id,
                session_id,
                ..
            } = caller;
            let now_ms = sessions.host.clock.now_ms();
            let audit = sessions.host.audit.clone();
            let actor = Actor::Owner(origin.clone());
            let ended = sessions
                .host
                .db
                .write(move |tx| {
                    Box::pin(async move {
                        let account = store::users::lock(tx, user_id).await?;
                        let holds = account
                            .is_some_and(|now| !now.disabled && now.password_hash == verified);
                        if !holds
                            || !store::sessions::is_live(tx, user_id, session_id, now_ms).await?
                        {
                            return Err(ApiError::unauthenticated());
                        }
                        store::users::set_password_hash(tx, user_id, &new_hash).await?;
                        let others = Which::AllBut(session_id);
                        let ended = store::sessions::end(tx, user_id, others, now_ms).await?;
                        let details = json!({ "ended_sessions": ended.live });
                        audit
                            .record(tx, actor.entry("account.password_change", user_id, details))
                            .await?;
                        Ok(ended)
                    })
                })
                .await?;
            sessions.announce(&ended, "the password was changed");
            tracing::info!(
                target: "filament::security",
                request_id = %origin.request_id,
                client_ip = %origin.client_ip,
                %user_id,
                ended_sessions = ended.live,
                "a password was changed"
            );
            Ok(())
        };
        self.sessions.scope.finish(changed).await
    }

    /// Gives an account another password for the operator, and ends all of its sessions. Answers how many were live.
    pub(crate) async fn reset_password(
        &self,
        account: UserId,
        new_hash: String,
        request_id: Arc<str>,
    ) -> Result<usize, ApiError> {
        self.override_account(account, Override::Password(new_hash), request_id)
            .await
    }

    /// Switches an account off, which ends all of its sessions, or on again, for the operator. Answers how many were live.
    pub(crate) async fn set_disabled(
        &self,
        account: UserId,
        disabled: bool,
        request_id: Arc<str>,
    ) -> Result<usize, ApiError> {
        self.override_account(account, Override::Disabled(disabled), request_id)
            .await
    }

    async fn override_account(
        &self,
        account: UserId,
        change: Override,
        request_id: Arc<str>,
    ) -> Result<usize, ApiError> {
        let sessions = self.sessions.clone();
        let changed = async move {
            let now_ms = sessions.host.clock.now_ms();
            let audit = sessions.host.audit.clone();
            let (action, reason) = change.told();
            let operator = Actor::Operator(request_id.clone());
            let ended = sessions
                .host
                .db
                .write(move |tx| {
                    Box::pin(async move {
                        let Some(before) = store::users::lock(tx, account).await? else {
                            return Err(ApiError::not_found());
                        };
                        let ended = match change {
                            Override::Disabled(disabled) if disabled == before.disabled => {
                                return Ok(None);
                            }
                            Override::Disabled(false) => {
                                store::users::set_disabled(tx, account, None).await?;
                                Ended::default()
                            }
                            Override::Disabled(true) => {
                                store::users::set_disabled(tx, account, Some(now_ms)).await?;
                                store::sessions::end(tx, account, Which::All, now_ms).await?
                            }
                            Override::Password(hash) => {
                                store::users::set_password_hash(tx, account, &hash).await?;
                                store::sessions::end(tx, account, Which::All, now_ms).await?
                            }
                        };
                        let details = json!({ "ended_sessions": ended.live });
                        audit
                            .record(tx, operator.entry(action, account, details))
                            .await?;
                        Ok(Some(ended))
                    })
                })
                .await?;
            let Some(ended) = ended else {
                return Ok(0);
            };
            sessions.announce(&ended, reason);
            tracing::info!(
                target: "filament::security",
                %request_id,
                user_id = %account,
                ended_sessions = ended.live,
                action,
                "the operator changed an account"
            );
            Ok(ended.live)
        };
        self.sessions.scope.finish(changed).await
    }
}

/// What the operator changes of an account.
enum Override {
    Password(String),
    Disabled(bool),
}

impl Override {
    /// The audit log's word for it, and what the sockets of sessions that it ends are told.
    fn told(&self) -> (&'static str, &'static str) {
        match self {
            Self::Password(_) => ("account.password_reset", "the password was changed"),
            Self::Disabled(true) => ("account.disable", "the account was switched off"),
            Self::Disabled(false) => ("account.enable", ""),
        }
    }
}

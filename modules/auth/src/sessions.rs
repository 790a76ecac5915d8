//! The life of a session: opened by a log-in, carried on by each refresh, ended by a log-out, by a refresh token that comes a
//! second time, or by not being refreshed.
//!
//! What ends a session reaches access tokens and open sockets at once: first the database, then [`Revocations`], then the gateway.
//! These steps run to their end even if the client hangs up between them.

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    audit::{Audit, AuditEntry},
    caller::Caller,
    id::UserId,
    module::Host,
    scope::Scope,
};
use serde_json::json;

use crate::{
    domain::{
        access_token::{Claims, Keyring},
        refresh_token::RefreshToken,
    },
    revocations::Revocations,
    store,
};

/// Opens, refreshes, ends and recognises sessions.
pub(crate) struct Sessions {
    pub(crate) host: Host,
    pub(crate) scope: Scope,
    pub(crate) keyring: Keyring,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) access_token_ttl_secs: u32,
    pub(crate) session_ttl_secs: u32,
}

/// What a client gets to go on with.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) expires_in_secs: u32,
}

/// The hash of a password, and what to put in its place.
pub(crate) struct RenewedHash {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// What presenting a refresh token came to.
enum Presented {
    /// It was the newest one.
    Good(UserId),
    /// It is of a live session, but was used before: the session has been ended.
    Replayed(UserId),
    /// It is of no live session.
    Bad,
}

/// What a refresh token is presented for.
enum Purpose {
    Rotate {
        next: RefreshToken,
        expires_at_ms: i64,
    },
    End,
}

impl Sessions {
    /// Opens a session for a user who has proved to be that user.
    pub(crate) async fn open(
        &self,
        user: UserId,
        renewed: Option<RenewedHash>,
    ) -> Result<Tokens, ApiError> {
        let token = RefreshToken::first(self.host.ids.next());
        let now_ms = self.host.clock.now_ms();
        let expires_at_ms = self.expiry(now_ms);
        let audit = self.host.audit.clone();
        let stored = token.clone();
        self.host
            .db
            .write(move |tx| {
                Box::pin(async move {
                    store::sessions::open(tx, user, &stored, now_ms, expires_at_ms).await?;
                    if let Some(RenewedHash { from, to }) = renewed {
                        store::users::renew_hash(tx, user, &from, &to).await?;
                    }
                    audit.record(tx, entry("session.open", user, &stored)).await
                })
            })
            .await?;
        self.tokens(user, &token)
    }

    /// Takes a refresh token for the next one.
    pub(crate) async fn refresh(self: &Arc<Self>, token: RefreshToken) -> Result<Tokens, ApiError> {
        let sessions = self.clone();
        let refreshed = async move {
            let next = token.successor();
            let purpose = Purpose::Rotate {
                next: next.clone(),
                expires_at_ms: sessions.expiry(sessions.host.clock.now_ms()),
            };
            let outcome = sessions.present(token, purpose).await;
            metrics::counter!("filament_auth_refreshes_total", "outcome" => match &outcome {
                Ok(Presented::Good(_)) => "rotated",
                Ok(Presented::Replayed(_)) => "replayed",
                Ok(Presented::Bad) => "refused",
                Err(_) => "failed",
            })
            .increment(1);
            match outcome? {
                Presented::Good(user) => sessions.tokens(user, &next),
                Presented::Replayed(_) | Presented::Bad => Err(ApiError::unauthenticated()),
            }
        };
        self.scope.finish(refreshed).await
    }

    /// Ends the session of a refresh token.
    pub(crate) async fn end(self: &Arc<Self>, token: RefreshToken) -> Result<(), ApiError> {
        let sessions = self.clone();
        let ended = async move {
            match sessions.present(token, Purpose::End).await? {
                Presented::Good(_) => Ok(()),
                Presented::Replayed(_) | Presented::Bad => Err(ApiError::unauthenticated()),
            }
        };
        self.scope.finish(ended).await
    }

    /// Whose access token this is. Does not touch the database.
    pub(crate) fn recognise(&self, access_token: &str) -> Result<Caller, ApiError> {
        self.keyring
            .read(access_token, self.host.clock.now_unix())
            .filter(|claims| !self.revocations.contains(claims.session))
            .map(|claims| Caller {
                user_id: claims.user,
                session_id: claims.session,
            })
            .ok_or_else(ApiError::unauthenticated)
    }

    async fn present(&self, token: RefreshToken, purpose: Purpose) -> Result<Presented, ApiError> {
        let session = token.session;
        let now_ms = self.host.clock.now_ms();
        let ends = matches!(purpose, Purpose::End);
        let audit = self.host.audit.clone();
        let outcome = self
            .host
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let owner = match &purpose {
                        Purpose::Rotate {
                            next,
                            expires_at_ms,
                        } => {
                            store::sessions::rotate(tx, &token, next, now_ms, *expires_at_ms)
                                .await?
                        }
                        Purpose::End => store::sessions::revoke(tx, &token, now_ms).await?,
                    };
                    if let Some(user) = owner {
                        if matches!(purpose, Purpose::End) {
                            audit.record(tx, entry("session.end", user, &token)).await?;
                        }
                        return Ok(Presented::Good(user));
                    }
                    match store::sessions::revoke_lineage(tx, &token, now_ms).await? {
                        Some(user) => {
                            record_replay(&*audit, tx, user, &token).await?;
                            Ok(Presented::Replayed(user))
                        }
                        None => Ok(Presented::Bad),
                    }
                })
            })
            .await?;
        match outcome {
            Presented::Good(user) if ends => {
                self.revocations.insert(session, now_ms);
                self.host.gateway.end_session(session, "logged out");
                tracing::info!(target: "filament::security", user_id = %user, session_id = %session, "logged out");
            }
            Presented::Replayed(user) => {
                self.revocations.insert(session, now_ms);
                self.host
                    .gateway
                    .end_session(session, "the session has ended");
                tracing::warn!(
                    target: "filament::security",
                    user_id = %user,
                    session_id = %session,
                    "a refresh token was presented a second time; its session has been ended"
                );
            }
            Presented::Good(_) | Presented::Bad => {}
        }
        Ok(outcome)
    }

    fn tokens(&self, user: UserId, refresh: &RefreshToken) -> Result<Tokens, ApiError> {
        let issued = self.host.clock.now_unix();
        let access = self.keyring.issue(&Claims {
            user,
            session: refresh.session,
            issued,
            expires: issued + i64::from(self.access_token_ttl_secs),
        })?;
        Ok(Tokens {
            access,
            refresh: refresh.encoded(),
            expires_in_secs: self.access_token_ttl_secs,
        })
    }

    fn expiry(&self, now_ms: i64) -> i64 {
        now_ms + i64::from(self.session_ttl_secs) * 1_000
    }
}

fn entry(action: &'static str, user: UserId, token: &RefreshToken) -> AuditEntry {
    AuditEntry {
        actor: Some(user),
        action,
        guild: None,
        target: Some(user),
        details: Some(json!({ "session_id": token.session })),
        request_id: None,
    }
}

/// Nobody knows who presented the token: the server acts, and the account is concerned.
async fn record_replay(
    audit: &dyn Audit,
    tx: &filament_kernel::db::WriteTx,
    user: UserId,
    token: &RefreshToken,
) -> Result<(), ApiError> {
    let entry = AuditEntry {
        actor: None,
        ..entry("session.replay", user, token)
    };
    audit.record(tx, entry).await
}

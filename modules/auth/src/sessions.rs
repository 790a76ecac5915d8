//! The life of a session: opened by a log-in, carried on by each refresh, ended by a log-out, by its owner or the operator, by a new
//! password, by a refresh token that comes a second time, or because its time is up.
//!
//! What ends a session reaches access tokens and open sockets at once: first the database, then [`Revocations`], then the gateway.
//! These steps run to their end even if the client hangs up between them.
//!
//! What opens a session or ends several of an account locks the account's row first. So a log-in that verified a password a moment ago
//! finds out that the password was changed, or the account switched off; and a change that ends all sessions ends also those that
//! were being opened.

mod refresh;

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    caller::Caller,
    http::Origin,
    id::{SessionId, UserId},
    module::Host,
    scope::Scope,
};
use serde_json::json;

pub(crate) use self::refresh::TokenTurns;
use crate::{
    actor::Actor,
    domain::{
        access_token::{Claims, Keyring},
        device::Device,
        lifetime::Lifetime,
        refresh_token::RefreshToken,
    },
    revocations::Revocations,
    store::{
        self,
        sessions::{Ended, Which},
    },
};

/// Live sessions of an account: who opens one more loses the one that was not used for longest. Bounds the answer that lists them.
const MAX_LIVE: usize = 100;

/// Opens, refreshes, ends and recognises sessions.
pub(crate) struct Sessions {
    pub(crate) host: Host,
    pub(crate) scope: Scope,
    pub(crate) keyring: Keyring,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) access_token_ttl_secs: u32,
    pub(crate) lifetime: Lifetime,
    pub(crate) turns: Arc<TokenTurns>,
}

/// What a client gets to go on with.
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) expires_in_secs: u32,
}

/// A user has proved to be that user, by the password of this hash.
pub(crate) struct Proof {
    pub(crate) user: UserId,
    pub(crate) password_hash: String,
    /// The hash to put in its place.
    pub(crate) renewed: Option<String>,
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
    Rotate { next: RefreshToken },
    End,
}

impl Sessions {
    /// Opens a session. Answers `None` when the proof does not hold any more: the password was changed or the account switched off in the
    /// meantime.
    pub(crate) async fn open(
        self: &Arc<Self>,
        proof: Proof,
        origin: Origin,
    ) -> Result<Option<Tokens>, ApiError> {
        let sessions = self.clone();
        let opened = async move {
            let user = proof.user;
            let token = RefreshToken::first(sessions.host.ids.next());
            let stored = sessions.store(proof, token.clone(), origin).await?;
            let Some(ended) = stored else {
                return Ok(None);
            };
            sessions.announce(&ended, "too many sessions of this account are open");
            sessions.tokens(user, &token).map(Some)
        };
        self.scope.finish(opened).await
    }

    /// Answers the sessions that had to make room.
    async fn store(
        &self,
        proof: Proof,
        token: RefreshToken,
        origin: Origin,
    ) -> Result<Option<Ended>, ApiError> {
        let Proof {
            user,
            password_hash,
            renewed,
        } = proof;
        let now_ms = self.host.clock.now_ms();
        let expires_at_ms = self.lifetime.first_expiry_ms(now_ms);
        let audit = self.host.audit.clone();
        let device = Device::from(&origin);
        let actor = Actor::Owner(origin);
        self.host
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let account = store::users::lock(tx, user).await?;
                    if account.is_none_or(|now| now.disabled || now.password_hash != password_hash)
                    {
                        return Ok(None);
                    }
                    let ended =
                        store::sessions::end_least_recently_used(tx, user, MAX_LIVE - 1, now_ms)
                            .await?;
                    for session in &ended.sessions {
                        let details = json!({ "session_id": session, "reason": "too_many" });
                        audit
                            .record(tx, actor.entry("session.end", user, details))
                            .await?;
                    }
                    store::sessions::open(tx, user, &token, device, now_ms, expires_at_ms).await?;
                    if let Some(renewed) = renewed {
                        store::users::set_password_hash(tx, user, &renewed).await?;
                    }
                    let details = json!({ "session_id": token.session });
                    audit
                        .record(tx, actor.entry("session.open", user, details))
                        .await?;
                    Ok(Some(ended))
                })
            })
            .await
    }

    /// Ends the session of a refresh token.
    pub(crate) async fn log_out(
        self: &Arc<Self>,
        token: RefreshToken,
        origin: Origin,
    ) -> Result<(), ApiError> {
        let turn = self.turns.take(&token).await;
        let sessions = self.clone();
        let ended = async move {
            let _turn = turn;
            match sessions.present(token, Purpose::End, origin).await? {
                Presented::Good(_) => Ok(()),
                Presented::Replayed(_) | Presented::Bad => Err(ApiError::unauthenticated()),
            }
        };
        self.scope.finish(ended).await
    }

    /// Ends sessions of the caller's account. Answers how many of them were live.
    ///
    /// # Errors
    /// 401 when the caller's own session has ended in the meantime: who was thrown out throws out nobody.
    pub(crate) async fn end_own(
        self: &Arc<Self>,
        caller: Caller,
        which: Which,
        origin: Origin,
    ) -> Result<usize, ApiError> {
        self.end(
            caller.user_id,
            which,
            Actor::Owner(origin),
            Some(caller.session_id),
        )
        .await
    }

    /// Ends sessions of an account for the operator. Answers how many of them were live.
    pub(crate) async fn end_for_operator(
        self: &Arc<Self>,
        account: UserId,
        which: Which,
        request_id: Arc<str>,
    ) -> Result<usize, ApiError> {
        let operator = Actor::Operator(request_id);
        self.end(account, which, operator, None).await
    }

    async fn end(
        self: &Arc<Self>,
        account: UserId,
        which: Which,
        actor: Actor,
        asker: Option<SessionId>,
    ) -> Result<usize, ApiError> {
        let sessions = self.clone();
        let work = async move {
            let now_ms = sessions.host.clock.now_ms();
            let audit = sessions.host.audit.clone();
            let told = actor.clone();
            let ended = sessions
                .host
                .db
                .write(move |tx| {
                    Box::pin(async move {
                        store::users::lock(tx, account).await?;
                        if let Some(asker) = asker
                            && !store::sessions::is_live(tx, account, asker, now_ms).await?
                        {
                            return Err(ApiError::unauthenticated());
                        }
                        let ended = store::sessions::end(tx, account, which, now_ms).await?;
                        if ended.live > 0 {
                            let (action, details) = match which {
                                Which::Only(session) => {
                                    ("session.end", json!({ "session_id": session }))
                                }
                                Which::AllBut(_) => (
                                    "session.end_others",
                                    json!({ "ended_sessions": ended.live }),
                                ),
                                Which::All => {
                                    ("session.end_all", json!({ "ended_sessions": ended.live }))
                                }
                            };
                            audit
                                .record(tx, actor.entry(action, account, details))
                                .await?;
                        }
                        Ok(ended)
                    })
                })
                .await?;
            sessions.announce(&ended, "the session has ended");
            if ended.live > 0 {
                tracing::info!(
                    target: "filament::security",
                    request_id = %told.request_id(),
                    client_ip = told.client_ip().map(tracing::field::display),
                    user_id = %account,
                    ended_sessions = ended.live,
                    "sessions were ended"
                );
            }
            Ok(ended.live)
        };
        self.scope.finish(work).await
    }

    /// Makes the end of sessions known that has been written to the database: their access tokens are good no more, and their sockets
    /// are closed with `reason`.
    pub(crate) fn announce(&self, ended: &Ended, reason: &str) {
        let now_ms = self.host.clock.now_ms();
        for session in &ended.sessions {
            self.revocations.insert(*session, now_ms);
            self.host.gateway.end_session(*session, reason);
        }
    }

    /// Whose access token this is. Does not touch the database.
    pub(crate) fn recognise(&self, access_token: &str) -> Result<Caller, ApiError> {
        self.keyring
            .read(access_token, self.host.clock.now_unix())
            .filter(|(claims, _)| !self.revocations.contains(claims.session))
            .map(|(claims, key)| Caller {
                user_id: claims.user,
                session_id: claims.session,
                key,
            })
            .ok_or_else(ApiError::unauthenticated)
    }

    async fn present(
        &self,
        token: RefreshToken,
        purpose: Purpose,
        origin: Origin,
    ) -> Result<Presented, ApiError> {
        let session = token.session;
        let now_ms = self.host.clock.now_ms();
        let lifetime = self.lifetime;
        let ends = matches!(purpose, Purpose::End);
        let audit = self.host.audit.clone();
        let told = origin.clone();
        let outcome = self
            .host
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let details = json!({ "session_id": token.session });
                    let owner = match &purpose {
                        Purpose::Rotate { next } => {
                            store::sessions::rotate(tx, &token, next, now_ms, lifetime).await?
                        }
                        Purpose::End => store::sessions::revoke(tx, &token, now_ms).await?,
                    };
                    if let Some(user) = owner {
                        if matches!(purpose, Purpose::End) {
                            let actor = Actor::Owner(origin);
                            audit
                                .record(tx, actor.entry("session.end", user, details))
                                .await?;
                        }
                        return Ok(Presented::Good(user));
                    }
                    match store::sessions::revoke_lineage(tx, &token, now_ms).await? {
                        Some(user) => {
                            let actor = Actor::Anybody(origin);
                            audit
                                .record(tx, actor.entry("session.replay", user, details))
                                .await?;
                            Ok(Presented::Replayed(user))
                        }
                        None => Ok(Presented::Bad),
                    }
                })
            })
            .await?;
        let ended = Ended {
            sessions: vec![session],
            live: 1,
        };
        match outcome {
            Presented::Good(user) if ends => {
                self.announce(&ended, "logged out");
                tracing::info!(
                    target: "filament::security",
                    request_id = %told.request_id,
                    client_ip = %told.client_ip,
                    user_id = %user,
                    session_id = %session,
                    "logged out"
                );
            }
            Presented::Replayed(user) => {
                self.announce(&ended, "the session has ended");
                tracing::warn!(
                    target: "filament::security",
                    request_id = %told.request_id,
                    client_ip = %told.client_ip,
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
}

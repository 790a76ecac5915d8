use std::{sync::Arc, time::Duration};

use filament_kernel::{
    ApiError, ErrorCode,
    http::{Origin, Valid},
    limits::limit_key,
    module::Host,
    text::Text,
};
use poem_openapi::{Object, OpenApi, payload::Json};
use validator::Validate;

use super::{Tag, session::Session};
use crate::{
    captcha::Captcha,
    domain::{
        attempts::{Attempts, Verdict},
        password::{OfferedPassword, Verified},
        username::{OfferedUsername, Username},
    },
    hasher::Hasher,
    sessions::{Proof, Sessions, Tokens},
    store::{self, users::Credentials},
};

/// The name and the password of an account.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct LoginRequest {
    /// The name, in any case; at most 32 characters.
    #[validate(custom(function = "Text::check"))]
    username: Text<OfferedUsername>,
    /// At most 128 characters (UTF-16 code units).
    #[validate(custom(function = "Text::check"))]
    password: Text<OfferedPassword>,
    /// What the captcha of `GET /auth/captcha` gave; not looked at where that names none.
    #[validate(length(max = 8_192))]
    captcha_token: Option<String>,
}

/// How often a log-in starts over when the password's hash is replaced while it is verified. A hash is replaced once when its
/// parameters change, and when its owner changes the password.
const ROUNDS: usize = 3;

pub struct Login {
    pub(crate) host: Host,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) captcha: Option<Arc<Captcha>>,
    pub(crate) attempts: Attempts,
    pub(crate) sessions: Arc<Sessions>,
}

#[OpenApi]
impl Login {
    /// Log in
    ///
    /// Opens a session. Some wrong passwords in a row (5) lock an account for a while (30 seconds).
    ///
    /// - 401: The password is wrong, the name does not exist, or the account is locked or switched off: the same answer, after the same
    ///   time, for all of these
    /// - 403: `captcha_failed`: `GET /auth/captcha` names a captcha, and it was not solved
    /// - 429: Too many requests, or too many log-ins from this address (30, with whatever names) failed of late; `Retry-After` says when
    ///   to come back
    #[oai(
        path = "/auth/login",
        method = "post",
        operation_id = "login",
        tag = "Tag::Auth"
    )]
    async fn login(
        &self,
        origin: Origin,
        body: Valid<LoginRequest>,
    ) -> Result<Json<Session>, ApiError> {
        let LoginRequest {
            username,
            password,
            captcha_token,
        } = body.0;
        if let Some(wait) = self
            .attempts
            .wait(limit_key(origin.client_ip), self.host.clock.now_ms())
        {
            return Err(refused_address(&origin, wait));
        }
        if let Some(captcha) = &self.captcha {
            captcha.check(captcha_token, &origin).await?;
        }
        let username = Username::parse(&username);
        for _ in 0..ROUNDS {
            if let Some(tokens) = self.attempt(username.as_ref(), &password, &origin).await? {
                return Ok(Json(tokens.into()));
            }
        }
        Err(ApiError::unauthenticated())
    }
}

impl Login {
    /// One attempt. Answers `None` when the account was changed while the password was verified.
    async fn attempt(
        &self,
        username: Option<&Username>,
        password: &str,
        origin: &Origin,
    ) -> Result<Option<Tokens>, ApiError> {
        let credentials = self.credentials(username).await?;
        let stored = credentials
            .as_ref()
            .map(|credentials| credentials.password_hash.clone());
        let verified = self.hasher.verify(password.to_string(), stored).await?;
        let (credentials, outdated) = self.admit(username, credentials, verified, origin)?;
        let renewed = if outdated {
            // Only after the attempt was let in: the time that this takes would tell of a right password where the account is
            // locked. When the queue is full the old hash is kept until the next time.
            self.hasher.hash(password.to_string()).await.ok()
        } else {
            None
        };
        let proof = Proof {
            user: credentials.user_id,
            password_hash: credentials.password_hash,
            renewed,
        };
        self.sessions.open(proof, origin.clone()).await
    }

    /// What cannot be a name is the name of nobody.
    async fn credentials(
        &self,
        username: Option<&Username>,
    ) -> Result<Option<Credentials>, ApiError> {
        match username {
            Some(username) => Ok(store::users::credentials(self.host.db.read(), username).await?),
            None => Ok(None),
        }
    }

    /// Whom the attempt lets in, and whether their hash is outdated. An account that is switched off is treated as if every password were
    /// wrong.
    fn admit(
        &self,
        username: Option<&Username>,
        credentials: Option<Credentials>,
        verified: Verified,
        origin: &Origin,
    ) -> Result<(Credentials, bool), ApiError> {
        let user_id = credentials.as_ref().map(|credentials| credentials.user_id);
        let right = credentials
            .filter(|credentials| !credentials.disabled)
            .zip(match verified {
                Verified::Right { outdated } => Some(outdated),
                Verified::Wrong => None,
            });
        let address = limit_key(origin.client_ip);
        let verdict = self.attempts.judge(
            username.map(|username| &username.key),
            address,
            right.is_some(),
            self.host.clock.now_ms(),
        );
        let outcome = if verdict == Verdict::Admitted {
            "accepted"
        } else {
            "refused"
        };
        metrics::counter!("filament_auth_logins_total", "outcome" => outcome).increment(1);
        match verdict {
            Verdict::Admitted => right.ok_or_else(ApiError::unauthenticated),
            Verdict::TooMany(wait) => Err(refused_address(origin, wait)),
            Verdict::Refused {
                locks_account,
                locks_address,
            } => {
                if locks_account {
                    metrics::counter!("filament_auth_lockouts_total").increment(1);
                }
                // Names the account and not what was typed: people type their passwords into the wrong field.
                tracing::info!(
                    target: "filament::security",
                    request_id = %origin.request_id,
                    client_ip = %origin.client_ip,
                    user_id = user_id.map(tracing::field::display),
                    locks_account,
                    locks_address,
                    "a log-in was refused"
                );
                Err(ApiError::unauthenticated())
            }
        }
    }
}

/// 429 for an address from which too many log-ins failed.
fn refused_address(origin: &Origin, wait: Duration) -> ApiError {
    tracing::info!(
        target: "filament::security",
        request_id = %origin.request_id,
        client_ip = %origin.client_ip,
        "a log-in was refused: too many from this address have failed"
    );
    ApiError::new(
        ErrorCode::RATE_LIMITED,
        "too many log-ins from this address have failed",
    )
    .retry_after(wait)
}

use std::sync::Arc;

use filament_kernel::{ApiError, http::Valid, id::UserId, module::Host, text};
use poem_openapi::{Object, OpenApi, payload::Json};
use validator::{Validate, ValidationError};

use super::{Tag, session::Session};
use crate::{
    domain::{
        lockout::{Judgement, Lockout},
        password::{self, Verified},
        username::{self, Username},
    },
    hasher::Hasher,
    sessions::{RenewedHash, Sessions},
    store::{self, users::Credentials},
};

/// The name and the password of an account.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct LoginRequest {
    /// The name, in any case; at most 32 characters.
    #[validate(custom(function = "not_too_long"))]
    username: String,
    /// At most 128 characters (UTF-16 code units).
    #[validate(custom(function = "password::check_offered"))]
    password: String,
    /// Not looked at while the server asks for no captcha.
    #[validate(length(max = 8_192))]
    captcha_token: Option<String>,
}

fn not_too_long(name: &str) -> Result<(), ValidationError> {
    text::between(name, 1, username::MAX)
}

pub struct Login {
    pub(crate) host: Host,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) lockout: Lockout,
    pub(crate) sessions: Arc<Sessions>,
}

#[OpenApi]
impl Login {
    /// Log in
    ///
    /// Opens a session. A wrong password, a name that does not exist and a locked account are answered with the same 401 after
    /// the same time. Some wrong passwords in a row (5) lock an account for a while (30 seconds).
    #[oai(
        path = "/auth/login",
        method = "post",
        operation_id = "login",
        tag = "Tag::Auth"
    )]
    async fn login(&self, body: Valid<LoginRequest>) -> Result<Json<Session>, ApiError> {
        let LoginRequest {
            username, password, ..
        } = body.0;
        let username = Username::parse(&username);
        let credentials = self.credentials(username.as_ref()).await?;
        let stored = credentials
            .as_ref()
            .map(|credentials| credentials.password_hash.clone());
        let verified = self.hasher.verify(password.clone(), stored).await?;
        let (credentials, outdated) = self.judge(username, credentials, verified)?;
        let user_id = credentials.user_id;
        let renewed = if outdated {
            self.renewed(credentials, password).await
        } else {
            None
        };
        let tokens = self.sessions.open(user_id, renewed).await?;
        Ok(Json(tokens.into()))
    }
}

impl Login {
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

    /// Whom the attempt lets in, and whether their hash is outdated.
    fn judge(
        &self,
        username: Option<Username>,
        credentials: Option<Credentials>,
        verified: Verified,
    ) -> Result<(Credentials, bool), ApiError> {
        let owner = credentials.as_ref().map(|credentials| credentials.user_id);
        let right = credentials.zip(match verified {
            Verified::Right { outdated } => Some(outdated),
            Verified::Wrong => None,
        });
        let admitted =
            username.is_some_and(|username| self.counts(&username, owner, right.is_some()));
        metrics::counter!("filament_auth_logins_total", "outcome" => if admitted { "accepted" } else { "refused" })
            .increment(1);
        right
            .filter(|_| admitted)
            .ok_or_else(ApiError::unauthenticated)
    }

    /// Counts an attempt; answers whether it gets in. The log names accounts and not what was typed: people type their passwords into
    /// the wrong field.
    fn counts(&self, username: &Username, owner: Option<UserId>, right: bool) -> bool {
        let judgement = self
            .lockout
            .judge(&username.key, right, self.host.clock.now_ms());
        if let (Some(user_id), Judgement::Refused | Judgement::RefusedAndLocked) =
            (owner, judgement)
        {
            tracing::info!(
                target: "filament::security",
                %user_id,
                locked = judgement == Judgement::RefusedAndLocked,
                "a log-in was refused"
            );
        }
        if judgement == Judgement::RefusedAndLocked {
            metrics::counter!("filament_auth_lockouts_total").increment(1);
        }
        judgement == Judgement::Admitted
    }

    /// The password hashed with today's parameters. Only after the attempt was let in: the time that this takes would tell of a right
    /// password where the account is locked. When the queue is full the old hash is kept until the next time.
    async fn renewed(&self, credentials: Credentials, password: String) -> Option<RenewedHash> {
        let to = self.hasher.hash(password).await.ok()?;
        let from = credentials.password_hash;
        Some(RenewedHash { from, to })
    }
}

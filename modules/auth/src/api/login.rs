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
    #[oai(path = "/auth/login", method = "post", operation_id = "login", tag = "Tag::Auth")]
    async fn login(&self, body: Valid<LoginRequest>) -> Result<Json<Session>, ApiError> {
        let LoginRequest { username, password, .. } = body.0;
        let username = Username::parse(&username);
        let credentials = self.credentials(username.as_ref()).await?;
        let stored = credentials.as_ref().map(|credentials| credentials.password_hash.clone());
        let verified = self.hasher.verify(password, stored).await?;
        let (user, renewed) = self.judge(username, credentials, verified)?;
        let tokens = self.sessions.open(user, renewed).await?;
        Ok(Json(tokens.into()))
    }
}

impl Login {
    /// What cannot be a name is the name of nobody.
    async fn credentials(&self, username: Option<&Username>) -> Result<Option<Credentials>, ApiError> {
        match username {
            Some(username) => Ok(store::users::credentials(self.host.db.read(), username).await?),
            None => Ok(None),
        }
    }

    fn judge(
        &self,
        username: Option<Username>,
        credentials: Option<Credentials>,
        verified: Verified,
    ) -> Result<(UserId, Option<RenewedHash>), ApiError> {
        let owner = credentials.as_ref().map(|credentials| credentials.user_id);
        let admitted = match (username, credentials, verified) {
            (Some(username), Some(credentials), Verified::Right { renewed }) => self
                .counts(&username, owner, true)
                .then(|| (credentials, renewed)),
            (Some(username), _, _) => {
                self.counts(&username, owner, false);
                None
            }
            (None, _, _) => None,
        };
        metrics::counter!(
            "filament_auth_logins_total",
            "outcome" => if admitted.is_some() { "accepted" } else { "refused" }
        )
        .increment(1);
        let (credentials, renewed) = admitted.ok_or_else(ApiError::unauthenticated)?;
        let from = credentials.password_hash;
        Ok((credentials.user_id, renewed.map(|to| RenewedHash { from, to })))
    }

    /// Counts an attempt; answers whether it gets in. The log names accounts and not what was typed: people type their passwords into
    /// the wrong field.
    fn counts(&self, username: &Username, owner: Option<UserId>, right: bool) -> bool {
        let judgement = self.lockout.judge(&username.key, right, self.host.clock.now_ms());
        if let (Some(user_id), Judgement::Refused | Judgement::RefusedAndLocked) = (owner, judgement) {
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
}

use std::sync::Arc;

use filament_kernel::{
    ApiError,
    http::{Origin, Valid},
    text::Text,
};
use poem_openapi::{Object, OpenApi, payload::Json};
use validator::Validate;

use super::Tag;
use crate::{
    accounts::Accounts,
    captcha::Captcha,
    domain::{
        password::NewPassword,
        username::{NewUsername, Username},
    },
    hasher::Hasher,
};

/// A name and a password for a new account.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct RegisterRequest {
    /// 3 to 32 of `[A-Za-z0-9_.]`. Names that differ in case only are one name.
    #[validate(custom(function = "Text::check"))]
    username: Text<NewUsername>,
    /// 12 to 128 characters (UTF-16 code units).
    #[validate(custom(function = "Text::check"))]
    password: Text<NewPassword>,
    /// What the captcha of `GET /auth/captcha` gave; not looked at where that names none.
    #[validate(length(max = 8_192))]
    captcha_token: Option<String>,
}

/// The registration was accepted. Whether the name was free, only a log-in tells.
#[derive(Object)]
pub struct Registered {
    /// Always true.
    accepted: bool,
}

pub struct Register {
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) captcha: Option<Arc<Captcha>>,
    pub(crate) accounts: Arc<Accounts>,
}

#[OpenApi]
impl Register {
    /// Register an account
    ///
    /// Answers the same, and after the same time, for a name that is taken: nobody learns here which accounts exist.
    ///
    /// - 403: `captcha_failed`: `GET /auth/captcha` names a captcha, and it was not solved
    #[oai(
        path = "/auth/register",
        method = "post",
        operation_id = "register",
        tag = "Tag::Auth"
    )]
    async fn register(
        &self,
        origin: Origin,
        body: Valid<RegisterRequest>,
    ) -> Result<Json<Registered>, ApiError> {
        let RegisterRequest {
            username,
            password,
            captcha_token,
        } = body.0;
        let username = Username::parse(&username)
            .ok_or_else(|| ApiError::internal("a name was not checked before it was used"))?;
        if let Some(captcha) = &self.captcha {
            captcha.check(captcha_token, &origin).await?;
        }
        let password_hash = self.hasher.hash(password.into()).await?;
        self.accounts
            .register(username, password_hash, origin)
            .await?;
        Ok(Json(Registered { accepted: true }))
    }
}

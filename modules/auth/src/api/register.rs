use std::sync::Arc;

use filament_kernel::{ApiError, audit::AuditEntry, http::Valid, id::UserId, module::Host};
use poem_openapi::{Object, OpenApi, payload::Json};
use validator::Validate;

use super::Tag;
use crate::{
    domain::{password, username, username::Username},
    hasher::Hasher,
    store,
};

/// A name and a password for a new account.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct RegisterRequest {
    /// 3 to 32 of `[A-Za-z0-9_.]`. Names that differ in case only are one name.
    #[validate(custom(function = "username::check"))]
    username: String,
    /// 12 to 128 characters (UTF-16 code units).
    #[validate(custom(function = "password::check_new"))]
    password: String,
    /// Not looked at while the server asks for no captcha.
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
    pub(crate) host: Host,
    pub(crate) hasher: Arc<Hasher>,
}

#[OpenApi]
impl Register {
    /// Register an account
    ///
    /// Answers the same, and after the same time, for a name that is taken: nobody learns here which accounts exist.
    #[oai(
        path = "/auth/register",
        method = "post",
        operation_id = "register",
        tag = "Tag::Auth"
    )]
    async fn register(&self, body: Valid<RegisterRequest>) -> Result<Json<Registered>, ApiError> {
        let RegisterRequest {
            username, password, ..
        } = body.0;
        let username = Username::parse(&username)
            .ok_or_else(|| ApiError::internal("a name was not checked before it was used"))?;
        let password_hash = self.hasher.hash(password).await?;
        self.add(username, password_hash).await?;
        Ok(Json(Registered { accepted: true }))
    }
}

impl Register {
    async fn add(&self, username: Username, password_hash: String) -> Result<(), ApiError> {
        let user_id: UserId = self.host.ids.next();
        let now_ms = self.host.clock.now_ms();
        let audit = self.host.audit.clone();
        self.host
            .db
            .write(move |tx| {
                Box::pin(async move {
                    if store::users::add(tx, user_id, username, password_hash, now_ms).await? {
                        let entry = AuditEntry {
                            actor: Some(user_id),
                            action: "account.register",
                            guild: None,
                            target: Some(user_id),
                            details: None,
                            request_id: None,
                        };
                        audit.record(tx, entry).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

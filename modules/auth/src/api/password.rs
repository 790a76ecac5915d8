use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use filament_kernel::{
    ApiError, Caller, ErrorCode,
    http::{NoContent, Origin, Valid},
    id::UserId,
    module::Host,
};
use poem_openapi::{Object, OpenApi};
use validator::Validate;

use super::Tag;
use crate::{
    accounts::Accounts,
    domain::{
        lockout::{Judgement, Lockout},
        password::{self, Verified},
    },
    hasher::Hasher,
    store,
};

/// The password of the caller's account, and the one to put in its place.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct PasswordRequest {
    /// At most 128 characters (UTF-16 code units).
    #[validate(custom(function = "password::check_offered"))]
    current_password: String,
    /// 12 to 128 characters (UTF-16 code units).
    #[validate(custom(function = "password::check_new"))]
    new_password: String,
}

pub struct PasswordApi {
    pub(crate) host: Host,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) accounts: Arc<Accounts>,
    /// Counts wrong passwords here apart from those at log-in: who has stolen an access token can neither guess without end nor lock the
    /// owner out.
    pub(crate) lockout: Mutex<Lockout<UserId>>,
}

#[OpenApi]
impl PasswordApi {
    /// Change one's password
    ///
    /// Needs the current one (401 if it is wrong), and ends all of one's other sessions. Some wrong ones in a row (5) are answered with 429
    /// for a while (30 seconds); logging in goes on as before.
    #[oai(
        path = "/auth/password",
        method = "post",
        operation_id = "password",
        tag = "Tag::Auth"
    )]
    async fn password(
        &self,
        caller: Caller,
        origin: Origin,
        body: Valid<PasswordRequest>,
    ) -> Result<NoContent, ApiError> {
        let PasswordRequest {
            current_password,
            new_password,
        } = body.0;
        let verified = self.verify(caller, current_password, &origin).await?;
        let new_hash = self.hasher.hash(new_password).await?;
        self.accounts
            .change_password(caller, verified, new_hash, origin)
            .await?;
        Ok(NoContent)
    }
}

impl PasswordApi {
    /// The hash that the caller knows the password of.
    async fn verify(
        &self,
        caller: Caller,
        password: String,
        origin: &Origin,
    ) -> Result<String, ApiError> {
        let user_id = caller.user_id;
        self.not_locked(user_id)?;
        let stored = store::users::password_hash(self.host.db.read(), user_id)
            .await?
            .ok_or_else(ApiError::unauthenticated)?;
        let verified = self.hasher.verify(password, Some(stored.clone())).await?;
        let right = matches!(verified, Verified::Right { .. });
        // Judged after hashing, one at a time: guesses side by side are no more than guesses in a row.
        let now_ms = self.host.clock.now_ms();
        {
            let mut lockout = self.lockout();
            if let Some(wait) = lockout.locked_for(&user_id, now_ms) {
                return Err(too_many(wait));
            }
            if lockout.judge(&user_id, right, now_ms) == Judgement::Admitted {
                return Ok(stored);
            }
        }
        tracing::info!(
            target: "filament::security",
            request_id = %origin.request_id,
            client_ip = %origin.client_ip,
            %user_id,
            session_id = %caller.session_id,
            "a change of password was refused"
        );
        Err(ApiError::unauthenticated())
    }

    fn not_locked(&self, user_id: UserId) -> Result<(), ApiError> {
        let now_ms = self.host.clock.now_ms();
        let wait = self.lockout().locked_for(&user_id, now_ms);
        wait.map_or(Ok(()), |wait| Err(too_many(wait)))
    }

    fn lockout(&self) -> MutexGuard<'_, Lockout<UserId>> {
        self.lockout.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 429 for an account whose current password was wrong too often.
fn too_many(wait: Duration) -> ApiError {
    ApiError::new(
        ErrorCode::RATE_LIMITED,
        "current_password: was wrong too often",
    )
    .retry_after(wait)
}

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use filament_kernel::{
    ApiError, Caller, ErrorCode,
    http::{NoContent, Origin, Valid},
    id::UserId,
    module::Host,
    text::Text,
};
use poem_openapi::{Object, OpenApi};
use validator::Validate;

use super::Tag;
use crate::{
    accounts::Accounts,
    domain::{
        lockout::{Judgement, Lockout, Rule},
        password::{NewPassword, OfferedPassword, Verified},
    },
    hasher::Hasher,
    store,
};

/// The password of the caller's account, and the one to put in its place.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct PasswordRequest {
    /// At most 128 characters (UTF-16 code units).
    #[validate(custom(function = "Text::check"))]
    current_password: Text<OfferedPassword>,
    /// 12 to 128 characters (UTF-16 code units).
    #[validate(custom(function = "Text::check"))]
    new_password: Text<NewPassword>,
}

pub struct PasswordApi {
    pub(crate) host: Host,
    pub(crate) hasher: Arc<Hasher>,
    pub(crate) accounts: Arc<Accounts>,
    /// Counts wrong passwords here apart from those at log-in: who has stolen an access token can neither guess without end nor lock the
    /// owner out.
    pub(crate) failures: Arc<PasswordFailures>,
    pub(crate) rule: Rule,
}

/// The accounts whose current password was wrong of late. Outlives whoever judges by it, or a reload would forgive everybody.
#[derive(Default)]
pub(crate) struct PasswordFailures(Mutex<Lockout<UserId>>);

#[OpenApi]
impl PasswordApi {
    /// Change one's password
    ///
    /// Needs the current one, and ends all of one's other sessions.
    ///
    /// - 400: The request is not valid, or the new password is the current one; the message names the field and its bound
    /// - 401: The current password is wrong, or there is no valid access token
    /// - 429: Too many requests, or the current password was wrong too often in a row (5): for a while (30 seconds), while logging in goes on
    ///   as before; `Retry-After` says when to come back
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
        if *new_password == *current_password {
            return Err(ApiError::invalid(
                "new_password",
                "must not be the current password",
            ));
        }
        let verified = self
            .verify(caller, current_password.into(), &origin)
            .await?;
        let new_hash = self.hasher.hash(new_password.into()).await?;
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
        self.not_locked(caller, origin)?;
        let stored = store::users::password_hash(self.host.db.read(), user_id)
            .await?
            .ok_or_else(ApiError::unauthenticated)?;
        let verified = self.hasher.verify(password, Some(stored.clone())).await?;
        let right = matches!(verified, Verified::Right { .. });
        // Judged after hashing, one at a time: guesses side by side are no more than guesses in a row.
        let now_ms = self.host.clock.now_ms();
        let judgement = {
            let mut lockout = self.lockout();
            match lockout.locked_for(&user_id, now_ms) {
                Some(wait) => Err(wait),
                None => Ok(lockout.judge(self.rule, &user_id, right, now_ms)),
            }
        };
        match judgement {
            Ok(Judgement::Admitted) => Ok(stored),
            Ok(refused) => {
                log_refusal(caller, origin, refused == Judgement::RefusedAndLocked);
                Err(ApiError::unauthenticated())
            }
            Err(wait) => Err(too_many(caller, origin, wait)),
        }
    }

    fn not_locked(&self, caller: Caller, origin: &Origin) -> Result<(), ApiError> {
        let now_ms = self.host.clock.now_ms();
        let wait = self.lockout().locked_for(&caller.user_id, now_ms);
        wait.map_or(Ok(()), |wait| Err(too_many(caller, origin, wait)))
    }

    fn lockout(&self) -> MutexGuard<'_, Lockout<UserId>> {
        let lockout = self.failures.0.lock();
        lockout.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the security log of a change that was refused, and whether the account has to wait for the next.
fn log_refusal(caller: Caller, origin: &Origin, locks_account: bool) {
    tracing::info!(
        target: "filament::security",
        request_id = %origin.request_id,
        client_ip = %origin.client_ip,
        user_id = %caller.user_id,
        session_id = %caller.session_id,
        locks_account,
        "a change of password was refused"
    );
}

/// 429 for an account whose current password was wrong too often.
fn too_many(caller: Caller, origin: &Origin, wait: Duration) -> ApiError {
    log_refusal(caller, origin, false);
    ApiError::new(
        ErrorCode::RATE_LIMITED,
        "current_password: was wrong too often",
    )
    .retry_after(wait)
}

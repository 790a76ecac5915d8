use std::sync::Arc;

use filament_kernel::{
    ApiError,
    http::{NoContent, Origin, Valid},
};
use poem_openapi::{Object, OpenApi};
use validator::Validate;

use super::Tag;
use crate::{domain::refresh_token::RefreshToken, sessions::Sessions};

/// The refresh token of the session that is to end.
#[derive(Object, Validate)]
#[oai(deny_unknown_fields)]
pub struct LogoutRequest {
    /// The newest refresh token of the session.
    #[validate(length(max = 512))]
    refresh_token: String,
}

pub struct Logout {
    pub(crate) sessions: Arc<Sessions>,
}

#[OpenApi]
impl Logout {
    /// Log out
    ///
    /// Ends the session: its refresh token, its access tokens and its sockets, at once.
    ///
    /// - 401: The token is not the newest of a live session; one that was used before ends its session all the same, as it does at
    ///   `POST /auth/refresh`
    #[oai(
        path = "/auth/logout",
        method = "post",
        operation_id = "logout",
        tag = "Tag::Auth"
    )]
    async fn logout(
        &self,
        origin: Origin,
        body: Valid<LogoutRequest>,
    ) -> Result<NoContent, ApiError> {
        let token =
            RefreshToken::parse(&body.0.refresh_token).ok_or_else(ApiError::unauthenticated)?;
        self.sessions.log_out(token, origin).await?;
        Ok(NoContent)
    }
}
